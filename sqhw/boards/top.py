"""The top module of a board in Verilog: clock, reset and pins around the core, and no logic else.

The core, `sqhw.rtl.board_top.BoardTop`, is the same on every board and can be simulated.
"""

import math

from sqhw.boards.board import Board
from sqhw.boards.clocks import DesignClock

TOP, CORE = "sqhw_top", "sqhw_board"
#: Time for which reset is held after configuration: the block RAM of an iCE40 reads zero for about
#: 3 us (cliffordwolf/icestorm#76); Amaranth waits as long for the same reason (unit: us).
RESET_US = 15

ICE40_PLL = """\
  {cell} #(
    .FEEDBACK_PATH("SIMPLE"), .DIVR(4'd{DIVR}), .DIVF(7'd{DIVF}), .DIVQ(3'd{DIVQ}),
    .FILTER_RANGE(3'd{FILTER_RANGE})
  ) pll (
    .{pin}(clock), .PLLOUTGLOBAL(clk), .LOCK(locked), .RESETB(1'b1), .BYPASS(1'b0)
  );
"""
ECP5_PLL = """\
  (* FREQUENCY_PIN_CLKI = "{from_mhz:g}", FREQUENCY_PIN_CLKOP = "{mhz:g}",
     ICP_CURRENT = "12", LPF_RESISTOR = "8",
     MFG_ENABLE_FILTEROPAMP = "1", MFG_GMCREF_SEL = "2" *)
  EHXPLLL #(
    .CLKI_DIV({CLKI_DIV}), .CLKFB_DIV({CLKFB_DIV}), .CLKOP_DIV({CLKOP_DIV}),
    .CLKOP_CPHASE({CLKOP_CPHASE}), .CLKOP_FPHASE(0), .CLKOP_ENABLE("ENABLED"),
    .FEEDBK_PATH("CLKOP"), .PLLRST_ENA("DISABLED"), .STDBY_ENABLE("DISABLED"),
    .DPHASE_SOURCE("DISABLED"), .OUTDIVIDER_MUXA("DIVA"), .OUTDIVIDER_MUXB("DIVB"),
    .OUTDIVIDER_MUXC("DIVC"), .OUTDIVIDER_MUXD("DIVD"), .INTFB_WAKE("DISABLED")
  ) pll (
    .CLKI(clock), .CLKFB(clk), .CLKOP(clk), .LOCK(locked), .RST(1'b0), .STDBY(1'b0),
    .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b0), .PHASESTEP(1'b0),
    .PHASELOADREG(1'b0), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0)
  );
"""
XC7_PLL = """\
  wire feedback, unbuffered;
  PLLE2_BASE #(
    .CLKIN1_PERIOD({period:.3f}), .DIVCLK_DIVIDE({DIVCLK_DIVIDE}),
    .CLKFBOUT_MULT({CLKFBOUT_MULT}), .CLKOUT0_DIVIDE({CLKOUT0_DIVIDE})
  ) pll (
    .CLKIN1(clock), .CLKFBIN(feedback), .CLKFBOUT(feedback), .CLKOUT0(unbuffered),
    .LOCKED(locked), .PWRDWN(1'b0), .RST(1'b0)
  );
  BUFG buffer (.I(unbuffered), .O(clk));
"""


def top_verilog(board: Board, clock: DesignClock) -> str:
    """Return the top module of a board.

    Parameters
    ----------
    board : Board
    clock : DesignClock
        One of `sqhw.boards.clocks.design_clocks`.
    """
    leds = board.leds
    ports = [f"input wire {port}" for port in ("clock", "rx")]
    ports += ["input wire button"] if board.reset else []
    outputs = [port for port in board.pins() if port == "tx" or port.startswith("led_")]
    cycles = math.ceil(RESET_US * clock.mhz)
    bits = (cycles - 1).bit_length() + 1  # the highest one ends the count
    pressed = ""
    if board.reset:
        pressed = " && !pressed[1]"
    core = [".clk(clk)", ".rst(rst)", ".rx(rx)", ".tx(tx)", ".ready(ready)", ".busy(busy)"]
    core += [".kind(kind)"] if leds.classes else []
    lines = [
        f"// {board.name}: clock of {clock.mhz:g} MHz, serial line of {board.uart.baud} bit/s.",
        "`default_nettype none",
        f"module {TOP} (",
        "  " + ",\n  ".join([*ports, *(f"output wire {port}" for port in outputs)]),
        ");",
        "  wire clk, locked, ready, busy;",
        *([f"  wire [{len(leds.classes) - 1}:0] kind;"] if leds.classes else []),
        _clock_verilog(board, clock).rstrip("\n"),
        f"  // Reset is held for {RESET_US} us, and while the PLL has not locked.",
        f"  reg [{bits - 1}:0] held = 0;",
        "  reg rst = 1;",
    ]
    if board.reset:
        pin = "~button" if board.reset.active_low else "button"
        lines += [
            "  reg [1:0] pressed = 0;",
            f"  always @(posedge clk) pressed <= {{pressed[0], {pin}}};",
        ]
    lines += [
        "  always @(posedge clk) begin",
        f"    rst <= !held[{bits - 1}];",
        f"    if (locked{pressed}) held <= held + !held[{bits - 1}];",
        "    else held <= 0;",
        "  end",
        f"  {CORE} core ({', '.join(core)});",
    ]
    lines += [
        f"  assign {port} = {_inverted(group in leds.active_low)}{signal};"
        for port, signal, group in _leds(board)
    ]
    return "\n".join([*lines, "endmodule", "`default_nettype wire", ""])


def _leds(board: Board) -> list[tuple[str, str, str]]:
    """Return port, signal and group of each LED."""
    found = [
        (f"led_{group}", group, group)
        for group in ("ready", "busy")
        if getattr(board.leds, group) is not None
    ]
    count = len(board.leds.classes)
    return found + [(f"led_class_{bit}", f"kind[{bit}]", "class") for bit in range(count)]


def _inverted(active_low: bool) -> str:
    return "~" if active_low else ""


def _clock_verilog(board: Board, clock: DesignClock) -> str:
    if clock.source == "divider":
        halvings = clock.settings["halvings"]
        if not halvings:
            return "  assign clk = clock;\n  assign locked = 1'b1;"
        return (
            f"  reg [{halvings - 1}:0] divided = 0;\n"
            "  always @(posedge clock) divided <= divided + 1;\n"
            f"  assign clk = divided[{halvings - 1}];\n  assign locked = 1'b1;"
        )
    if board.device.family == "ice40":
        pad = board.clock.pll == "pad"
        cell, pin = ("SB_PLL40_PAD", "PACKAGEPIN") if pad else ("SB_PLL40_CORE", "REFERENCECLK")
        return ICE40_PLL.format(cell=cell, pin=pin, **clock.settings)
    if board.device.family == "ecp5":
        return ECP5_PLL.format(from_mhz=board.clock.mhz, mhz=clock.mhz, **clock.settings)
    return XC7_PLL.format(period=1000 / board.clock.mhz, **clock.settings)

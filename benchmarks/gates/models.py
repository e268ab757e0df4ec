"""Simulation models of the two cells of ECP5 that yosys ships as black boxes.

``cells_sim.v`` of yosys has models of all cells of iCE40 and of the logic of ECP5; of its block RAM
(DP16KD) and its multiplier (MULT18X18D) it has only the ports. These models follow Lattice's guides
(FPGA-TN-02204 for the memory, FPGA-TN-02205 for the multiplier) and the layout of ``INITVAL`` in
yosys' own ``lattice/brams_map_16kd.v``. They stop at a mode that they do not have.
"""

#: Lowest bit of the address of a word, by the width of a port.
LOWEST = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4}


def models() -> str:
    """Return both models as Verilog."""
    return _multiplier() + _memory()


def _scalars(prefix: str, bits: int) -> list[str]:
    return [f"{prefix}{bit}" for bit in range(bits)]


def _vector(prefix: str, bits: int) -> str:
    return "{" + ", ".join(reversed(_scalars(prefix, bits))) + "}"


def _multiplier() -> str:
    inputs = [*_scalars("A", 18), *_scalars("B", 18), *_scalars("C", 18)]
    inputs += ["SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB", "CLK0", "CE0", "RST0"]
    return f"""
module MULT18X18D (input {", ".join(inputs)}, output {", ".join(_scalars("P", 36))});
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  wire [17:0] a = {_vector("A", 18)};
  wire [17:0] b = {_vector("B", 18)};
  wire signed [36:0] wide_a = {{{{19{{SIGNEDA & a[17]}}}}, a}};
  wire signed [36:0] wide_b = {{{{19{{SIGNEDB & b[17]}}}}, b}};
  wire signed [36:0] product = wide_a * wide_b;
  reg [35:0] held = 0;
  always @(posedge CLK0)
    if (RST0) held <= 0;
    else if (CE0) held <= product[35:0];
  assign {_vector("P", 36)} = REG_OUTPUT_CLK == "NONE" ? product[35:0] : held;
  initial if (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0") begin
    $display("no model of this mode of MULT18X18D");
    $finish;
  end
endmodule
"""


def _memory() -> str:
    scalars, body = [], []
    for port, other in ("AB", "BA"):
        scalars += [f"input {', '.join(_scalars(f'DI{port}', 18) + _scalars(f'AD{port}', 14))}"]
        control = [f"{name}{port}" for name in ("CE", "OCE", "CLK", "WE", "RST")]
        scalars += [f"input {', '.join(control + _scalars(f'CS{port}', 3))}"]
        scalars += [f"output {', '.join(_scalars(f'DO{port}', 18))}"]
        body.append(_port(port, other))
    rows = [f"{row:02X}" for row in range(64)]
    parameters = "\n".join(f"  parameter [319:0] INITVAL_{row} = 0;" for row in rows)
    load = "\n".join(f"    row = INITVAL_{row}; load({number});" for number, row in enumerate(rows))
    return f"""
module DP16KD ({", ".join(scalars)});
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter GSR = "AUTO";
{parameters}
  reg [8:0] memory [0:2047];
  reg [319:0] row;
  integer word;
  task load(input integer number);
    for (word = 0; word < 16; word = word + 1)
      {{memory[32 * number + 2 * word + 1], memory[32 * number + 2 * word]}}
          = row[20 * word +: 18];
  endtask
  initial begin
{load}
    if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
        || CSDECODE_A != "0b000" || CSDECODE_B != "0b000") begin
      $display("no model of this mode of DP16KD");
      $finish;
    end
  end
{"".join(body)}endmodule
"""


def _port(port: str, other: str) -> str:
    """Return one port: write, read, and the output register.

    A word that the other port writes in the same cycle is read as undefined.
    """
    cases = []
    for width, lowest in LOWEST.items():
        if width == 18:
            write = (
                f"if (at{port}[0]) memory[{{at{port}[13:4], 1'b0}}] <= in{port}[8:0]; "
                f"if (at{port}[1]) memory[{{at{port}[13:4], 1'b1}}] <= in{port}[17:9];"
            )
            read = f"{{memory[{{at{port}[13:4], 1'b1}}], memory[{{at{port}[13:4], 1'b0}}]}}"
        elif width == 9:
            write = f"memory[at{port}[13:3]] <= in{port}[8:0];"
            read = f"memory[at{port}[13:3]]"
        else:
            offset = f"{{at{port}[2:{lowest}], {lowest}'b0}}" if lowest else f"at{port}[2:0]"
            write = f"memory[at{port}[13:3]][{offset} +: {width}] <= in{port}[{width - 1}:0];"
            read = f"memory[at{port}[13:3]][{offset} +: {width}]"
        cases.append(
            f"        {width}: begin\n"
            f"          if (reads{port}) first{port} <= clash{port} ? 18'bx : {read};\n"
            f"          if (WE{port}) begin {write} end\n"
            "        end"
        )
    modes = "\n".join(cases)
    return f"""
  wire [13:0] at{port} = {_vector(f"AD{port}", 14)};
  wire [17:0] in{port} = {_vector(f"DI{port}", 18)};
  wire on{port} = CE{port} && {_vector(f"CS{port}", 3)} == 0;
  wire reads{port} = !WE{port} || WRITEMODE_{port} == "READBEFOREWRITE";
  wire clash{port} = CE{other} && WE{other} && {_vector(f"CS{other}", 3)} == 0
      && at{port}[13:4] == at{other}[13:4]
      && (DATA_WIDTH_A == 18 || DATA_WIDTH_B == 18 || at{port}[3] == at{other}[3]);
  reg [17:0] first{port} = 0, second{port} = 0;
  // The resets of a ROM or a bank are never used, so that their mode has no model.
  always @(posedge CLK{port})
    if (RST{port} !== 0 || (WRITEMODE_{port} == "WRITETHROUGH" && WE{port} !== 0)) begin
      $display("no model of this mode of DP16KD");
      $finish;
    end
  always @(posedge CLK{port}) begin
    if (OCE{port}) second{port} <= first{port};
    if (on{port})
      case (DATA_WIDTH_{port})
{modes}
      endcase
  end
  assign {_vector(f"DO{port}", 18)} = REGMODE_{port} == "OUTREG" ? second{port} : first{port};
"""

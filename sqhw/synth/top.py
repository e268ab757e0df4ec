"""A top module with few pins around the engine, whose ports are more than a package has pins."""

import re
from dataclasses import dataclass

from sqhw.errors import SqhwError
from sqhw.machine.naming import DEFAULT_NAME, top_module

TOP = "sqhw_place"
_PORT = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", re.MULTILINE)


def engine_ports(verilog: str, name: str = DEFAULT_NAME) -> dict[str, tuple[str, int]]:
    """Return direction and width of the engine's ports, but for the clock and ``wb_*``.

    The latter are for verification and stay open in a design.

    Parameters
    ----------
    verilog : str
        Text of ``NAME_engine.v``.
    name : str
        Name of the engine, see `sqhw.machine.naming`.

    Raises
    ------
    SqhwError
        If it has no module of that name.
    """
    engine = top_module(name)
    found = re.search(rf"^module {engine}\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SqhwError(f"{engine}.v holds no module {engine}; write it with `sqhw rtl`")
    ports = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in _PORT.findall(found.group())
    }
    return {
        name: port for name, port in ports.items() if name != "clk" and not name.startswith("wb_")
    }


@dataclass(frozen=True)
class TopCells:
    """Logic of the module of `top_verilog`, without the engine.

    Parameters
    ----------
    ffs, luts : int
        Flip-flops, and LUTs of 4 inputs.
    cells : int
        Logic cells of a LUT and a flip-flop each.
    """

    ffs: int
    luts: int
    cells: int


def top_cells(ports: dict[str, tuple[str, int]]) -> TopCells:
    """Return the logic on a device of the module that `top_verilog` makes, without the engine."""
    ins, outs = (
        sum(width for direction, width in ports.values() if direction == side)
        for side in ("input", "output")
    )
    levels = [outs]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // 4))
    ffs, luts = ins + sum(levels), sum(levels[1:])
    return TopCells(ffs, luts, ffs)


def top_verilog(ports: dict[str, tuple[str, int]], name: str = DEFAULT_NAME) -> str:
    """Return a module that shifts the inputs in and the parity of the outputs out.

    Every port is registered and the parity is taken four bits a cycle, so that no path outside
    of the engine is the longest.

    Parameters
    ----------
    ports : dict of str to (str, int)
        Width and direction of each port, from `engine_ports`.
    name : str
        Name of the engine, see `sqhw.machine.naming`.
    """
    sides: dict[str, list[str]] = {"input": [], "output": []}
    wires = []
    for port, (direction, width) in ports.items():
        high = sum(ports[other][1] for other in sides[direction]) + width - 1
        side = "in" if direction == "input" else "seen"
        wires.append(f"      .{port}({side}[{high}:{high - width + 1}])")
        sides[direction].append(port)
    ins, outs = (sum(ports[port][1] for port in sides[side]) for side in sides)
    lines = [
        "`default_nettype none",
        f"module {TOP} (input wire clk, input wire si, output wire so);",
        f"  reg [{ins - 1}:0] in;",
        f"  wire [{outs - 1}:0] seen;",
        f"  {top_module(name)} engine (\n      .clk(clk),\n" + ",\n".join(wires) + ");",
        f"  always @(posedge clk) in <= {{in[{ins - 2}:0], si}};",
        f"  reg [{outs - 1}:0] level_0;",
        "  always @(posedge clk) level_0 <= seen;",
    ]
    level = 0
    while outs > 1:
        fewer = -(-outs // 4)
        bits = [f"^level_{level}[{min(4 * bit + 3, outs - 1)}:{4 * bit}]" for bit in range(fewer)]
        level, outs = level + 1, fewer
        lines += [
            f"  reg [{outs - 1}:0] level_{level};",
            f"  always @(posedge clk) level_{level} <= {{{', '.join(reversed(bits))}}};",
        ]
    lines += [f"  assign so = level_{level}[0];", "endmodule", "`default_nettype wire", ""]
    return "\n".join(lines)

"""Translation of Verilog to C++ by yosys; a program of its own, run in the folder of the files.

``python cxxrtl_translate.py ENGINE.v ...`` writes ``engine.cc``.
"""

import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from pyosys import libyosys

OUTPUT = "engine.cc"
#: Name of the top module in the harness.
ENGINE = "sqhw_engine"
#: Fewest wires of a vector that is cut where they meet, e.g. into the bytes of the lanes.
MANY = 8
#: First words of a module.
MODULE = re.compile(r"^module (\w+)", re.MULTILINE)
#: Ports of the cells that are cut: operands, then the result.
CUT = {"$mux": ("A", "B", "Y")} | {
    kind: ("D", "Q") for kind in ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce")
}
#: Commands that read the design. The harness gives registers random initial values.
READ = ("proc -norom", "flatten", "setattr -unset init w:*")
#: Commands that narrow numbers to the width they need; operators extend signs.
REDUCE = ("opt", "wreduce t:$mul t:$add t:$sub %u %u", "opt", "clean")
SPLIT = ("splitnets -driver", "clean")
#: Commands that cut other vectors where their bits are used, else some look like combinational
#: feedback.
WRITE = (
    "splitcells t:$mux t:$pmux %u r:WIDTH>8 %i t:$and t:$or %u %u",
    *SPLIT,
    f"write_cxxrtl -O6 -g1 {OUTPUT}",
)
#: Replacement in the C++ text: the harness evaluates at rising edges only.
EDGE = "bool posedge_p_clk = this->posedge_p_clk();"
ALWAYS = "constexpr bool posedge_p_clk = true;"


def translate(
    sources: Sequence[str], change: Callable[[libyosys.Design], None] = lambda design: None
) -> None:
    """Translate the files in the working directory.

    The C++ compiler makes slow code of wide numbers, and fast code of many numbers that fit a
    register. So a multiplexer or register whose operand is put together from many wires is cut into
    one for each wire.

    Parameters
    ----------
    sources : sequence of str
        Verilog files; the top module is the first one in the first file.
    change : callable
        Function that changes the flat design before it is optimized.
    """
    design = libyosys.Design()
    top = MODULE.findall(Path(sources[0]).read_text())[0]
    rename = () if top == ENGINE else (f"rename -top {ENGINE}",)
    read = (f"read_verilog {' '.join(sources)}", f"hierarchy -top {top}")
    for command in (*read, *rename, *READ):
        design.run_pass(command)
    change(design)
    for command in REDUCE:
        design.run_pass(command)
    while _cut(design.top_module()):
        for command in SPLIT:
            design.run_pass(command)
    for command in WRITE:
        design.run_pass(command)
    output = Path(OUTPUT)
    output.write_text(output.read_text().replace(EDGE, ALWAYS))


def _cut(module: libyosys.Module) -> int:
    """Cut cells with operands of many wires and return their number."""
    width_name, reset_name = _name("WIDTH"), _name("SRST_VALUE")
    cells = 0
    for cell in list(module.cells_.values()):
        ports = CUT.get(cell.type.str())
        width = cell.getParam(width_name).as_int() if ports else 0
        if not ports or width < MANY:
            continue
        operands = [_joints(cell.getPort(_name(port))) for port in ports[:-1]]
        if max(wires for _, wires in operands) < MANY:
            continue
        edges = sorted({0, width}.union(*(joints for joints, _ in operands)))
        for low, high in pairwise(edges):
            part = module.addCell(libyosys.IdString(f"{cell.name.str()}[{low}]"), cell)
            part.setParam(width_name, libyosys.Const(high - low, 32))
            for port in map(_name, ports):
                part.setPort(port, cell.getPort(port).extract(low, high - low))
            if cell.hasParam(reset_name):
                value = cell.getParam(reset_name).extract(low, high - low, libyosys.State.S0)
                part.setParam(reset_name, value)
        module.remove(cell)
        cells += 1
    return cells


def _joints(operand: libyosys.SigSpec) -> tuple[set[int], int]:
    """Return the bits at which another wire begins, and the number of wires.

    A repeated bit, as in the extension of a sign, begins no wire.
    """
    joints = set()
    wires = set()
    before: tuple[str, int] | None = None
    for index, bit in enumerate(operand.to_sigbit_vector()):
        here = (bit.wire.name.str(), bit.offset) if bit.is_wire() else None
        if here:
            wires.add(here[0])
        follows = here is not None and before is not None and here == (before[0], before[1] + 1)
        if index and here != before and not follows:
            joints.add(index)
        before = here
    return joints, len(wires)


def _name(public: str) -> libyosys.IdString:
    return libyosys.IdString(f"\\{public}")


if __name__ == "__main__":
    translate(sys.argv[1:])

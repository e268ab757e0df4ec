"""Puts faults that yosys draws into the netlist of the engine; one build then serves all of them.

``python random_netlist.py ENGINE.v ...`` writes ``engine.cc`` and ``mutants.json`` as
`benchmarks.mutants.netlist` does. The faults are those of yosys' ``mutate``: a bit of a port of a
cell is inverted, constant, or combined with another one.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pyosys import libyosys

from benchmarks.mutants.netlist import MUTANTS, NUMBER_BITS, SELECT, name_id
from sqhw.verify.cxxrtl_translate import translate

#: File with the number of faults and their seed, ahead of the translation.
DRAW = "draw.json"
LIST, SELECT_FILE = "mutations.txt", "select.v"
#: Input that ``mutate -ctrl`` adds.
INPUT = "mutation"
#: Kind of a fault, and where it is.
MODE = re.compile(r"-mode (\w+)")
PLACES = ("cell", "port", "portbit", "ctrlbit", "wire", "wirebit")


def mutate(design: Any) -> None:
    """Add the faults to a flat design."""
    draw = json.loads(Path(DRAW).read_text())
    design.run_pass("opt_clean")
    what = f"-list {draw['faults']} -seed {draw['seed']}"
    design.run_pass(f"mutate {what} -ctrl {INPUT} {NUMBER_BITS} 1 -o {LIST}")
    commands = Path(LIST).read_text().splitlines()
    for command in commands:
        design.run_pass(command)
    Path(SELECT_FILE).write_text(SELECT)
    design.run_pass(f"read_verilog {SELECT_FILE}")
    module = design.top_module()
    wire = module.wire(name_id(INPUT))
    wire.port_input = False
    module.fixup_ports()
    cell = module.addCell(name_id("mutant"), name_id("sqhw_mutant"))
    cell.setPort(name_id("number"), libyosys.SigSpec(wire))
    for command in ("proc -norom", "flatten", "setattr -unset init w:*"):
        design.run_pass(command)
    Path(MUTANTS).write_text(json.dumps([_fault(command) for command in commands]))


def _fault(command: str) -> tuple[str, str]:
    """Return the kind and the place of a fault."""
    mode = MODE.search(command)
    parts = (re.search(rf"-{name} (\S+)", command) for name in PLACES)
    place = " ".join(part[1].removeprefix("\\") for part in parts if part)
    return (f"yosys {mode[1]}" if mode else "none", place)


if __name__ == "__main__":
    translate(sys.argv[1:], mutate)

"""Makes registers undefined where their values have no effect, to show it for all values.

``python undefined.py FROM TO`` reads the engine's Verilog and writes one in which all registers but
`RESETS_NEEDED` become undefined at every reset, and those of `MAY_BE_HIGH` where they would become
0. At the end of a reset, all registers then are undefined or have the values of a reset, whenever
it comes. Only the content of the activation memory depends on its time. Multiplexers are written as
operators, which pass undefined bits on; the branch of an ``if`` would lose them.
"""

import sys
from typing import Any

from pyosys import libyosys

from benchmarks.mutants.netlist import Mutator, name_id
from benchmarks.mutants.survivors import MAY_BE_HIGH, RESETS_NEEDED

TOP = "sqhw_engine"
READ = ("proc -norom", "setattr -unset init w:*", "opt_clean")
WRITE = ("pmuxtree", "opt_clean")


def undefine(module: Any, instance: str) -> set[str]:
    """Let registers of a module become undefined; return the places of all its registers.

    Parameters
    ----------
    module : Module
    instance : str
        First part of the places of its registers.
    """
    reset = module.wire(name_id("rst"))
    if reset is None:
        return set()
    mutator = Mutator(module)
    mutator.find_drivers()
    found = set()
    for cell in mutator.registers():
        data = cell.getPort(name_id("D"))
        place = instance + mutator.register_name(cell)
        found.add(place)
        undefined = libyosys.SigSpec(libyosys.Const.from_string("x" * data.size()))
        if (mux := mutator.reset_of(cell)) is None:
            late = mutator.multiplexer(data, undefined, libyosys.SigSpec(reset))
            cell.setPort(name_id("D"), late)
        elif place not in RESETS_NEEDED:
            mux.setPort(name_id("B"), undefined)
        if place in MAY_BE_HIGH:
            high = libyosys.SigSpec(libyosys.Const.from_string("1"))
            data = cell.getPort(name_id("D"))
            cell.setPort(name_id("D"), mutator.multiplexer(undefined, high, data))
    return found


def main(source: str, target: str) -> None:
    """Write the Verilog."""
    design = libyosys.Design()
    for command in (f"read_verilog {source}", *READ):
        design.run_pass(command)
    places: set[str] = set()
    for name, module in design.modules_.items():
        path = name.str().removeprefix("\\").removeprefix(TOP).removeprefix(".")
        places |= undefine(module, f"{path}." if path else "")
    if missing := (RESETS_NEEDED | MAY_BE_HIGH) - places:
        sys.exit(f"no such register: {', '.join(sorted(missing))}")
    for command in (*WRITE, f"write_verilog -noattr {target}"):
        design.run_pass(command)


if __name__ == "__main__":
    main(*sys.argv[1:])

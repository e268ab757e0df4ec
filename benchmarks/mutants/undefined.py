"""Makes registers undefined at every reset, to show for all their values that none has an effect.

``python undefined.py FROM TO PLACES`` reads the engine's Verilog and writes one in which each
register that has no reset, and those whose places are in a file of lines, become undefined where
the others are reset. Multiplexers are written as operators, which pass on what is undefined:
nothing is lost in the branch of an ``if``. Printed is the number of these registers.
"""

import sys
from pathlib import Path
from typing import Any

from pyosys import libyosys

from benchmarks.mutants.netlist import Mutator, name_id

TOP = "sqhw_engine"
READ = ("proc -norom", "setattr -unset init w:*", "opt_clean")
WRITE = ("pmuxtree", "opt_clean")


def undefine(module: Any, instance: str, places: set[str]) -> int:
    """Let registers of a module become undefined at a reset; return their number.

    Parameters
    ----------
    module : Module
    instance : str
        What the places of its registers begin with.
    places : set of str
        Registers that have a reset, and no need of it.
    """
    reset = module.wire(name_id("rst"))
    if reset is None:
        return 0
    mutator = Mutator(module)
    mutator.find_drivers()
    count = 0
    for cell in mutator.registers():
        data = cell.getPort(name_id("D"))
        undefined = libyosys.SigSpec(libyosys.Const.from_string("x" * data.size()))
        if (mux := mutator.reset_of(cell)) is None:
            late = mutator.multiplexer(data, undefined, libyosys.SigSpec(reset))
            cell.setPort(name_id("D"), late)
        elif instance + mutator.register_name(cell) in places:
            mux.setPort(name_id("B"), undefined)
        else:
            continue
        count += 1
    return count


def main(source: str, target: str, places: str) -> None:
    """Write the Verilog."""
    design = libyosys.Design()
    for command in (f"read_verilog {source}", *READ):
        design.run_pass(command)
    wanted = set(Path(places).read_text().splitlines())
    count = 0
    for name, module in design.modules_.items():
        path = name.str().removeprefix("\\").removeprefix(TOP).removeprefix(".")
        count += undefine(module, f"{path}." if path else "", wanted)
    for command in (*WRITE, f"write_verilog -noattr {target}"):
        design.run_pass(command)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Makes registers undefined at every reset, to show for all their values that none has an effect.

``python undefined.py FROM TO`` reads the engine's Verilog and writes one in which all registers but
`RESETS_NEEDED` become undefined where those are reset. Multiplexers are written as operators, which
pass on what is undefined: nothing is lost in the branch of an ``if``.
"""

import sys
from typing import Any

from pyosys import libyosys

from benchmarks.mutants.netlist import Mutator, name_id
from benchmarks.mutants.survivors import RESETS_NEEDED

TOP = "sqhw_engine"
READ = ("proc -norom", "setattr -unset init w:*", "opt_clean")
WRITE = ("pmuxtree", "opt_clean")


def undefine(module: Any, instance: str) -> None:
    """Let registers of a module become undefined at a reset.

    Parameters
    ----------
    module : Module
    instance : str
        What the places of its registers begin with.
    """
    reset = module.wire(name_id("rst"))
    if reset is None:
        return
    mutator = Mutator(module)
    mutator.find_drivers()
    for cell in mutator.registers():
        data = cell.getPort(name_id("D"))
        undefined = libyosys.SigSpec(libyosys.Const.from_string("x" * data.size()))
        if (mux := mutator.reset_of(cell)) is None:
            late = mutator.multiplexer(data, undefined, libyosys.SigSpec(reset))
            cell.setPort(name_id("D"), late)
        elif instance + mutator.register_name(cell) not in RESETS_NEEDED:
            mux.setPort(name_id("B"), undefined)


def main(source: str, target: str) -> None:
    """Write the Verilog."""
    design = libyosys.Design()
    for command in (f"read_verilog {source}", *READ):
        design.run_pass(command)
    for name, module in design.modules_.items():
        path = name.str().removeprefix("\\").removeprefix(TOP).removeprefix(".")
        undefine(module, f"{path}." if path else "")
    for command in (*WRITE, f"write_verilog -noattr {target}"):
        design.run_pass(command)


if __name__ == "__main__":
    main(*sys.argv[1:])

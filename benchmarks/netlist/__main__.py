"""Run with ``python -m benchmarks.netlist BEFORE AFTER``: folders that ``sqhw rtl`` wrote.

After a change of the RTL that is one of structure or names, it shows that the circuit is as before.
"""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.netlist.circuit import Circuit, read_circuit
from sqhw.errors import SqhwError

#: Pattern of the statement by which a memory reads its image, which need not be there.
IMAGE = re.compile(r"^.*\$readmemh.*$", re.MULTILINE)


def main(
    before: Annotated[Path, typer.Argument(help="Folder of the Verilog before the change.")],
    after: Annotated[Path, typer.Argument(help="Folder of the Verilog after it.")],
    top: Annotated[str, typer.Option(help="Name of the top module.")] = "sqhw_engine",
) -> None:
    """Compare the flattened netlists of two folders; exit code 1 if they differ."""
    first, second = (_read(folder, top) for folder in (before, after))
    if first == second:
        print(f"the same circuit: {first.cells.total():,} cells, {first.register_bits:,} FFs")
        return
    only = (first.cells - second.cells).total(), (second.cells - first.cells).total()
    print(f"other circuits: {only[0]:,} cells in {before} only, {only[1]:,} in {after} only")
    sys.exit(1)


def _read(folder: Path, top: str) -> Circuit:
    path = folder / f"{top}.v"
    if not path.is_file():
        raise SqhwError(f"{path} is missing; write it with `sqhw rtl`")
    leaves = [leaf.read_text() for leaf in sorted(folder.glob("*.v")) if leaf != path]
    return read_circuit(path.read_text(), top, IMAGE.sub("", "\n".join(leaves)))


if __name__ == "__main__":
    typer.run(main)

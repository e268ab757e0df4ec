"""The output registers of ECP5's block RAM, which yosys leaves unused.

A word takes 5.6 ns to leave a DP16KD without its own output register (speed grade 6), and then it
has the whole way to a flip-flop of the fabric before it. Where every bit that is read goes to
nothing but such a flip-flop, the block can hold it itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Cell = dict[str, Any]

BLOCK, FLIP_FLOP = "DP16KD", "TRELLIS_FF"
#: A flip-flop that a block's register is the same as: no enable, no reset, 0 at first.
PLAIN = {"CEMUX": "1", "CLKMUX": "CLK", "REGSET": "RESET"}


def use_output_registers(netlist: dict[str, Any], top: str) -> int:
    """Move flip-flops behind block RAM into it, in place.

    Parameters
    ----------
    netlist : dict
        What yosys' ``write_json`` writes after ``synth_ecp5``.
    top : str
        The module, flattened.

    Returns
    -------
    int
        Flip-flops that are gone.
    """
    cells: dict[str, Cell] = netlist["modules"][top]["cells"]
    readers = _readers(cells)
    removed = 0
    for block in [cell for cell in cells.values() if cell["type"] == BLOCK]:
        for port in "AB":
            behind = _flip_flops(block, port, cells, readers)
            for output, name in behind.items():
                block["connections"][output] = cells.pop(name)["connections"]["Q"]
            if behind:
                block["parameters"][f"REGMODE_{port}"] = "OUTREG"
            removed += len(behind)
    return removed


def _readers(cells: dict[str, Cell]) -> dict[int, list[tuple[str, str]]]:
    """Return the cells and ports that each net leads to."""
    readers = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    return readers


def _flip_flops(
    block: Cell, port: str, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> dict[str, str]:
    """Return the flip-flop behind each output in use, or none if that is not all there is."""
    nets = block["connections"]
    held = (
        block["parameters"].get(f"REGMODE_{port}") == "NOREG"
        and nets.get(f"OCE{port}") == ["1"]
        and nets.get(f"RST{port}") == ["0"]
    )
    used = {
        output: readers[bit]
        for output, (bit, *_) in nets.items()
        if output.startswith(f"DO{port}") and readers.get(bit)
    }
    found = {}
    for output, ends in used.items():
        if not held or not _is_plain(ends, cells, nets[f"CLK{port}"]):
            return {}
        found[output] = ends[0][0]
    return found


def _is_plain(ends: Iterable[tuple[str, str]], cells: dict[str, Cell], clock: list[int]) -> bool:
    """Return whether a net leads to the data input of one plain flip-flop and nowhere else."""
    (name, port), *more = ends
    cell = cells[name]
    return (
        not more
        and cell["type"] == FLIP_FLOP
        and port == "DI"
        and cell["connections"]["CLK"] == clock
        and cell["connections"].get("LSR", ["0"]) == ["0"]
        and all(cell["parameters"][key].strip() == value for key, value in PLAIN.items())
    )

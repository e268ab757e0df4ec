"""The output registers of ECP5's block RAM and multipliers, which yosys 0.70 leaves unused.

At speed grade 6 a word takes 5.6 ns to leave a block RAM and a product 3.9 ns to pass a multiplier
if neither has its own output register, and then it has the whole way to a flip-flop of the fabric
before it (yosys issue 5814; nextpnr pull requests 423 and 435 are its side). Where every bit in
use goes to nothing but such a flip-flop, the block can hold it itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Cell = dict[str, Any]

FLIP_FLOP = "TRELLIS_FF"
#: Name of the reader of a bit that leaves the module.
OUTSIDE = ""
#: Flip-flop that is equal to the register of a block: no enable, no reset, 0 at first.
PLAIN = {"CEMUX": "1", "CLKMUX": "CLK", "REGSET": "RESET"}


def use_output_registers(netlist: dict[str, Any], top: str) -> int:
    """Move flip-flops downstream of block RAM and multipliers into them, in place.

    Parameters
    ----------
    netlist : dict
        Content of the file of yosys' ``write_json`` after ``synth_ecp5``.
    top : str
        Name of the flattened module.

    Returns
    -------
    int
        Number of removed flip-flops.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    readers = _readers(cells)
    # A bit that leaves the module must stay.
    for port in module["ports"].values():
        for bit in port["bits"]:
            readers[bit].append((OUTSIDE, ""))
    before = len(cells)
    for block in list(cells.values()):
        if block["type"] == "DP16KD":
            for port in "AB":
                _hold_word(block, port, cells, readers)
        elif block["type"] == "MULT18X18D":
            _hold_product(block, cells, readers)
    return before - len(cells)


def _hold_word(
    block: Cell, port: str, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> None:
    nets = block["connections"]
    free = (
        block["parameters"].get(f"REGMODE_{port}") == "NOREG"
        and nets.get(f"OCE{port}") == ["1"]
        and nets.get(f"RST{port}") == ["0"]
        and not _inverted(block, f"CLK{port}MUX", f"OCE{port}MUX", f"RST{port}MUX")
    )
    behind = _flip_flops(block, f"DO{port}", cells, readers) if free else {}
    if behind and _clock(behind, cells) == nets[f"CLK{port}"]:
        _take_over(block, behind, cells)
        block["parameters"][f"REGMODE_{port}"] = "OUTREG"


def _hold_product(
    block: Cell, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> None:
    free = not any(port.startswith(("CLK", "CE", "RST")) for port in block["connections"])
    behind = _flip_flops(block, "P", cells, readers) if free else {}
    if behind:
        control = {"CLK0": _clock(behind, cells), "CE0": ["1"], "RST0": ["0"]}
        _take_over(block, behind, cells)
        block["connections"].update(control)
        block["port_directions"].update(dict.fromkeys(control, "input"))
        block["parameters"].update(
            REG_OUTPUT_CLK="CLK0", REG_OUTPUT_CE="CE0", REG_OUTPUT_RST="RST0"
        )


def _take_over(block: Cell, behind: dict[str, str], cells: dict[str, Cell]) -> None:
    for output, name in behind.items():
        block["connections"][output] = cells.pop(name)["connections"]["Q"]


def _inverted(cell: Cell, *muxes: str) -> bool:
    """Return whether one of a cell's control inputs is inverted inside of it."""
    return any(cell["parameters"].get(mux, "").strip() == "INV" for mux in muxes)


def _readers(cells: dict[str, Cell]) -> dict[int, list[tuple[str, str]]]:
    """Return the cells and ports that read each net."""
    readers = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    return readers


def _clock(behind: dict[str, str], cells: dict[str, Cell]) -> Any:
    """Return the clock that flip-flops share, or None if they have different ones."""
    clocks = {cells[name]["connections"]["CLK"][0] for name in behind.values()}
    return list(clocks) if len(clocks) == 1 else None


def _flip_flops(
    block: Cell, prefix: str, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> dict[str, str]:
    """Return the flip-flop of each output in use, or none if an output leads elsewhere."""
    found = {}
    for output, (bit, *_) in block["connections"].items():
        if output.startswith(prefix) and readers.get(bit):
            if not _is_plain(readers[bit], cells):
                return {}
            found[output] = readers[bit][0][0]
    return found if _clock(found, cells) else {}


def _is_plain(ends: Iterable[tuple[str, str]], cells: dict[str, Cell]) -> bool:
    """Return whether a net leads to the data input of one plain flip-flop and nowhere else."""
    (name, port), *more = ends
    if more or name == OUTSIDE:
        return False
    cell = cells[name]
    return (
        cell["type"] == FLIP_FLOP
        and port == "DI"
        and cell["connections"].get("LSR", ["0"]) == ["0"]
        and not _inverted(cell, "LSRMUX")
        and all(cell["parameters"][key].strip() == value for key, value in PLAIN.items())
    )

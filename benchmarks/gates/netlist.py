"""A netlist of yosys as Verilog that Icarus reads beside the cell models, and faults in it."""

import random
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Cell = dict[str, Any]
#: Parameter, value and value without it of the output registers of each block.
OUTPUT_REGISTERS = {
    "DP16KD": (("REGMODE_A", "OUTREG", "NOREG"), ("REGMODE_B", "OUTREG", "NOREG")),
    "MULT18X18D": (("REG_OUTPUT_CLK", "CLK0", "NONE"),),
}
#: Cells of a netlist that are no hardware.
NO_HARDWARE = ("$scopeinfo",)


def netlist_verilog(netlist: dict[str, Any], top: str) -> str:
    """Return the top module of a flat netlist as structural Verilog.

    Parameters
    ----------
    netlist : dict
        Content of the file of yosys' ``write_json``.
    top : str
    """
    module = netlist["modules"][top]
    ports, lines = [], []
    nets: set[int] = set()
    for name, port in module["ports"].items():
        bits = port["bits"]
        ports.append(f"  {port['direction']} wire [{len(bits) - 1}:0] {name}")
        for index, bit in enumerate(bits):
            net = _net(bit, nets)
            sides = (net, f"{name}[{index}]")
            target, source = sides if port["direction"] == "input" else sides[::-1]
            lines.append(f"  assign {target} = {source};")
    for number, cell in enumerate(module["cells"].values()):
        if cell["type"] in NO_HARDWARE:
            continue
        parameters = ", ".join(
            f".{name}({_value(value)})" for name, value in cell["parameters"].items()
        )
        pins = ", ".join(
            f".{pin}({{{', '.join(_net(bit, nets) for bit in reversed(bits))}}})"
            for pin, bits in cell["connections"].items()
        )
        lines.append(f"  {cell['type']} #({parameters}) c{number} ({pins});")
    wires = [f"  wire n{net};" for net in sorted(nets)]
    head = f"`default_nettype none\nmodule {top} (\n" + ",\n".join(ports) + "\n);"
    return "\n".join([head, *wires, *lines, "endmodule", "`default_nettype wire", ""])


def _net(bit: int | str, nets: set[int]) -> str:
    if isinstance(bit, str):
        return f"1'b{bit}"
    nets.add(bit)
    return f"n{bit}"


def _value(value: str | int) -> str:
    """Return a parameter: bits, or a text, which has a blank at its end if all before are bits."""
    if isinstance(value, int):
        return str(value)
    if re.fullmatch(r"[01xz]+", value):
        return f"{len(value)}'b{value}"
    text = value[:-1] if re.fullmatch(r"[01xz]* +", value) else value
    return f'"{text}"'


def lut_faults(
    netlist: dict[str, Any], top: str, number: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and netlist of faults: one LUT each has its function inverted."""
    names = [
        name
        for name, cell in netlist["modules"][top]["cells"].items()
        if cell["type"] in ("SB_LUT4", "LUT4")
    ]
    for name in random.Random(seed).sample(names, number):
        broken = deepcopy(netlist)
        parameters = broken["modules"][top]["cells"][name]["parameters"]
        (key,) = (key for key in parameters if key in ("LUT_INIT", "INIT"))
        parameters[key] = parameters[key].translate(str.maketrans("01", "10"))
        yield f"LUT {name} inverted", broken


def register_faults(
    netlist: dict[str, Any], top: str, number: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and netlist of faults: one register each that was moved into a block is left out.

    At most `number` faults of each kind of block are yielded.
    """
    cells = netlist["modules"][top]["cells"]
    for kind, registers in OUTPUT_REGISTERS.items():
        found = [
            (name, key, free)
            for name, cell in cells.items()
            for key, held, free in registers
            if cell["type"] == kind and cell["parameters"].get(key) == held
        ]
        for name, key, free in random.Random(seed).sample(found, min(number, len(found))):
            broken = deepcopy(netlist)
            broken["modules"][top]["cells"][name]["parameters"][key] = free
            yield f"{kind} {name} without its output register", broken

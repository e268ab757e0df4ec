"""Which flip-flops of a netlist go into block RAM and multipliers."""

from copy import deepcopy

import pytest

from sqhw.synth.output_registers import use_output_registers

OUTPUTS = [f"DOB{bit}" for bit in range(3)]


def netlist():
    """Return a block whose port B is read through two flip-flops, and port A by a LUT."""
    block = {
        "type": "DP16KD",
        "parameters": {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "port_directions": {"OCEA": "input", "OCEB": "input", "RSTA": "input", "RSTB": "input"}
        | {"CLKA": "input", "CLKB": "input", "DOA0": "output"}
        | dict.fromkeys(OUTPUTS, "output"),
        "connections": {"OCEA": ["1"], "OCEB": ["1"], "RSTA": ["0"], "RSTB": ["0"]}
        | {"CLKA": [2], "CLKB": [2], "DOA0": [9]}
        | {output: [10 + bit] for bit, output in enumerate(OUTPUTS)},
    }
    cells = {"block": block}
    for bit in (0, 1):  # DOB2 is not used
        cells[f"ff{bit}"] = {
            "type": "TRELLIS_FF",
            "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "REGSET": "RESET"},
            "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
            "connections": {"CLK": [2], "DI": [10 + bit], "LSR": ["0"], "Q": [20 + bit]},
        }
    cells["lut"] = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "B": "input", "Z": "output"},
        "connections": {"A": [9], "B": [20], "Z": [30]},
    }
    ports = {"out": {"direction": "output", "bits": [30]}}
    return {"modules": {"top": {"cells": cells, "ports": ports}}}


def test_flip_flops_behind_every_bit_go_into_the_block():
    found = netlist()
    assert use_output_registers(found, "top") == 2
    cells = found["modules"]["top"]["cells"]
    assert cells.keys() == {"block", "lut"}
    assert cells["block"]["parameters"] == {"REGMODE_A": "NOREG", "REGMODE_B": "OUTREG"}
    assert [cells["block"]["connections"][output] for output in OUTPUTS] == [[20], [21], [12]]


@pytest.mark.parametrize(
    ("cell", "kind", "key", "value"),
    [
        ("block", "connections", "OCEB", [3]),
        ("block", "connections", "RSTB", [3]),
        ("block", "connections", "CLKB", [4]),
        ("block", "parameters", "REGMODE_B", "OUTREG"),
        ("block", "parameters", "CLKBMUX", "INV"),
        ("block", "parameters", "RSTBMUX", "INV"),
        ("ff1", "parameters", "LSRMUX", "INV"),
        ("ff0", "parameters", "CEMUX", "CE"),
        ("ff0", "parameters", "CLKMUX", "INV"),
        ("ff0", "parameters", "REGSET", "SET"),
        ("ff1", "connections", "LSR", [5]),
        ("ff1", "connections", "DI", [99]),
        ("lut", "connections", "B", [10]),
        ("lut", "connections", "B", [12]),
    ],
)
def test_all_others_stay(cell, kind, key, value):
    found = netlist()
    found["modules"]["top"]["cells"][cell][kind][key] = value
    before = deepcopy(found)
    changed = use_output_registers(found, "top")
    if (cell, key) == ("ff1", "DI"):  # then the block's second bit is not used
        assert changed == 1
        return
    assert changed == 0
    assert found == before


@pytest.mark.parametrize("bit", [10, 12])
def test_a_bit_that_leaves_the_module_is_wanted_at_once(bit):
    found = netlist()
    found["modules"]["top"]["ports"]["out"]["bits"] = [30, bit]
    before = deepcopy(found)
    assert use_output_registers(found, "top") == 0
    assert found == before


def product(bits=3):
    """Return a multiplier whose product goes to flip-flops."""
    found = netlist()
    cells = found["modules"]["top"]["cells"]
    outputs = [f"P{bit}" for bit in range(bits)]
    cells["block"] = {
        "type": "MULT18X18D",
        "parameters": {},
        "port_directions": {"A0": "input"} | dict.fromkeys(outputs, "output"),
        "connections": {"A0": [1]} | {output: [10 + bit] for bit, output in enumerate(outputs)},
    }
    return found, cells


def test_a_product_stays_in_its_multiplier():
    found, cells = product()
    assert use_output_registers(found, "top") == 2
    assert cells.keys() == {"block", "lut"}
    nets = cells["block"]["connections"]
    assert nets == {
        "A0": [1], "P0": [20], "P1": [21], "P2": [12], "CLK0": [2], "CE0": ["1"], "RST0": ["0"],
    }  # fmt: skip
    assert nets.keys() == cells["block"]["port_directions"].keys()
    assert cells["block"]["parameters"]["REG_OUTPUT_CLK"] == "CLK0"


@pytest.mark.parametrize(
    ("cell", "kind", "key", "value"),
    [
        ("ff0", "connections", "CLK", [7]),
        ("ff0", "parameters", "CEMUX", "CE"),
        ("block", "connections", "CLK1", [2]),
        ("lut", "connections", "B", [12]),
    ],
)
def test_other_products_do_not(cell, kind, key, value):
    found, cells = product()
    cells[cell][kind][key] = value
    cells[cell]["port_directions"].setdefault(key, "input")
    before = deepcopy(found)
    assert use_output_registers(found, "top") == 0
    assert found == before

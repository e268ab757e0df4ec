import csv
from pathlib import Path

import pytest

from sqhw.cost_models.device import find_device
from sqhw.cost_models.multiplier import map_multiplier

GRID = Path(__file__).parents[2] / "benchmarks" / "cost_memory" / "data" / "multiplier_yosys.csv"
DEVICES = {
    "ice40": "iCE40UP5K",
    "ecp5": "LFE5U-25F",
    "nexus": "LIFCL-40",
    "gowin": "GW1NR-9C",
    "xc7": "XC7A35T",
    "xcup": "XCZU7EV",
    "cyclonev": "5CSEBA6",
}


def cell_of(a_bits: int, b_bits: int, device: str) -> str:
    cell = map_multiplier(a_bits, b_bits, find_device(device))
    return "" if cell is None else cell.name


def test_equals_yosys_on_every_point_of_the_grid():
    lines = GRID.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) == 131
    for row in rows:
        a_bits, b_bits, device = int(row["a_bits"]), int(row["b_bits"]), DEVICES[row["family"]]
        assert cell_of(a_bits, b_bits, device) == row["cell"], row
        assert cell_of(b_bits, a_bits, device) == row["cell"]


@pytest.mark.parametrize("device", ["iCE40HX8K", "CCGM1A1", "T8", "GW5A-25A", "MAX1000"])
def test_yosys_infers_none(device):
    assert cell_of(8, 8, device) == ""


def test_several_multipliers_fit_one_block():
    assert map_multiplier(8, 8, find_device("GW1NR-9C")).per_block == 2
    assert map_multiplier(8, 8, find_device("DE10-Nano")).per_block == 3


@pytest.mark.parametrize(
    ("a_bits", "b_bits", "message"),
    [
        (0, 8, "operands must have 1 bit or more, not 0 and 8"),
        (
            8,
            30,
            "a product of 8 x 30 bits exceeds the widest multiplier of XC7A35T, 25 x 18",
        ),
    ],
)
def test_bad_widths(a_bits, b_bits, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        map_multiplier(a_bits, b_bits, find_device("XC7A35T"))

import csv
from pathlib import Path

import pytest

from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.memory import Mapping, map_ram, map_rom

GOLDEN = Path(__file__).parents[1] / "golden"
DEVICES = {"ice40": "iCE40UP5K", "ecp5": "LFE5U-25F"}


def device_of(family: str) -> Device:
    return find_device(DEVICES[family])


def golden_rows(name: str) -> list[dict[str, str]]:
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    return list(csv.DictReader(lines[1:]))


@pytest.mark.parametrize(
    ("name", "map_memory", "count"),
    [("rom_grid_yosys.csv", map_rom, 168), ("ram_grid_yosys.csv", map_ram, 79)],
)
def test_equals_yosys_on_every_golden_point(name, map_memory, count):
    rows = golden_rows(name)
    assert len(rows) == count
    wrong = []
    for row in rows:
        mapping = map_memory(int(row["depth"]), int(row["width"]), device_of(row["family"]))
        mapped_to = "LUT" if mapping.primitive is None else "BRAM"
        if (mapped_to, mapping.blocks) != (row["mapped_to"], int(row["blocks"])):
            wrong.append(f"{row} but {mapping}")
    assert not wrong, f"{len(wrong)} of {count} differ, the first:\n" + "\n".join(wrong[:5])


@pytest.mark.parametrize("family", DEVICES)
def test_rom_switches_to_block_ram_above_the_threshold(family):
    bits = {"ice40": 1024 + 32, "ecp5": 2048 + 32}[
        family
    ]  # 16 per unit: cost + read port, 66 | 130
    device = device_of(family)
    assert map_rom(bits, 1, device) == Mapping(None, 0, None, 1)
    assert map_rom(bits + 16, 1, device).primitive == device.bram.name


def test_bit_columns_of_different_segments_share_a_block():
    # yosys 0.70: 16384x20 is neither 20 blocks (x1) nor 24 (8 segments of 3 blocks)
    assert map_rom(16384, 20, device_of("ecp5")) == Mapping("DP16KD", 18, (2048, 9), 8)


@pytest.mark.parametrize(
    ("family", "depth", "width", "expected"),
    [
        # read from `debug memory_libmap` of yosys 0.70, RAM with read-first ports
        ("ice40", 19, 4, Mapping(None, 0, None, 1)),  # 76 bits, block RAM costs 78
        ("ice40", 79, 1, Mapping("SB_RAM40_4K", 1, (2048, 2), 1)),
        ("ice40", 3000, 9, Mapping("SB_RAM40_4K", 7, (1024, 4), 3)),  # bit mask: 9 stays 9
        ("ecp5", 64, 8, Mapping(None, 0, None, 1)),  # 8 TRELLIS_DPR16X4, cost 48
        ("ecp5", 512, 36, Mapping("DP16KD", 1, (512, 36), 1)),
        ("ecp5", 1024, 10, Mapping("DP16KD", 1, (1024, 18), 1)),  # 9-bit bytes: 10 becomes 18
    ],
)
def test_ram_examples(family, depth, width, expected):
    assert map_ram(depth, width, device_of(family)) == expected


def test_memory_that_cannot_be_initialised_holds_no_rom():
    up5k = find_device("iCE40UP5K")
    assert {map_rom(2**k, 16, up5k).primitive for k in range(8, 17)} == {"SB_RAM40_4K"}


@pytest.mark.parametrize("map_memory", [map_rom, map_ram])
@pytest.mark.parametrize(
    ("depth", "width", "message"),
    [
        (0, 8, "depth must be 1 or more, not 0"),
        (8, 0, "width must be 1 or more, not 0"),
        (-1, -1, "depth must be 1 or more, not -1"),
    ],
)
def test_size_below_one_is_refused(map_memory, depth, width, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        map_memory(depth, width, find_device("iCE40UP5K"))


@pytest.mark.parametrize(
    "arguments", [(None, 1, None, 1), ("DP16KD", 0, (512, 36), 1), ("DP16KD", 1, None, 1)]
)
def test_mapping_must_agree_with_itself(arguments):
    with pytest.raises(ValueError, match=r"^primitive, blocks and mode must agree, not Mapping\("):
        Mapping(*arguments)

import csv
from pathlib import Path

import pytest

from sqhw.cost_models.device import Device, find_device, load_devices
from sqhw.cost_models.memory import Mapping, map_ram, map_rom
from sqhw.errors import SqhwError

GRIDS = Path(__file__).parents[2] / "benchmarks" / "cost_memory" / "data"
DEVICES = {
    "ice40": "iCE40UP5K",
    "ecp5": "LFE5U-25F",
    "nexus": "LIFCL-40",
    "gowin": "GW1NR-9C",
    "gw5a": "GW5A-25A",
    "gatemate": "CCGM1A1",
    "efinix": "T8",
    "xc7": "XC7A35T",
    "xcup": "XCZU7EV",
    "cyclonev": "5CSEBA6",
}


def device_of(family: str) -> Device:
    return find_device(DEVICES[family])


def grid(name: str) -> list[dict[str, str]]:
    lines = (GRIDS / name).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def mapped(row: dict[str, str]) -> Mapping:
    device, depth, width = device_of(row["family"]), int(row["depth"]), int(row["width"])
    if row["ports"] == "rom":
        return map_rom(depth, width, device, style=row["style"])
    return map_ram(depth, width, device, ports=row["ports"], style=row["style"])


@pytest.mark.parametrize(("name", "count"), [("rom_yosys.csv", 842), ("ram_yosys.csv", 289)])
def test_equals_yosys_on_every_point_of_the_grids(name, count):
    rows = grid(name)
    assert len(rows) == count
    wrong = []
    for row in rows:
        mapping = mapped(row)
        known = {cell.name for cell in device_of(row["family"]).memories}
        same_cell = row["cell"] not in {"", *known} or (
            (mapping.primitive or "").split(" ")[0] == row["cell"]
        )
        counted = (row["cell"] == "", int(row["blocks"]))
        if (mapping.primitive is None, mapping.blocks) != counted or not same_cell:
            wrong.append(f"{row} but {mapping}")
    assert not wrong, f"{len(wrong)} of {count} differ, the first:\n" + "\n".join(wrong[:5])


@pytest.mark.parametrize("family", ["ice40", "ecp5"])
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


@pytest.mark.parametrize(
    ("family", "rom_bits"),
    # Two more than yosys's cell cost, in the bits that cost it 1, and a read port.
    [("nexus", 2080), ("gowin", 2080), ("gatemate", 2096), ("efinix", 544), ("xc7", 8384)],
)
def test_largest_rom_in_luts(family, rom_bits):
    device = device_of(family)
    per_cost = device.mapping.rom_bits_per_cost
    assert map_rom(rom_bits, 1, device) == Mapping(None, 0, None, 1)
    assert map_rom(rom_bits + per_cost, 1, device).blocks > 0


def test_a_large_block_counts_as_two_small_ones():
    assert map_rom(2048, 18, device_of("xc7")) == Mapping("RAMB36E1", 2, (2048, 18), 1)
    assert map_rom(8192, 7, device_of("xc7")) == Mapping("RAMB36E1 cascade", 4, (8192, 9), 1)


def test_cyclone_fills_bits_and_not_blocks():
    # yosys 0.70: 9 blocks of x2, all bits used, where 8 of x5 would do
    assert map_rom(4096, 18, device_of("cyclonev")) == Mapping("M10K", 9, (4096, 2), 1)
    assert map_rom(102, 5, device_of("cyclonev")).primitive is None  # 4.98 % of a block
    assert map_rom(103, 5, device_of("cyclonev")).blocks == 1


def test_max10_takes_the_fewest_blocks():
    assert map_rom(1500, 9, find_device("MAX1000")) == Mapping("M9K", 2, (1024, 9), 2)
    assert map_ram(512, 8, find_device("MAX1000")).blocks == 1


def test_activation_bank_in_huge_memory():
    zcu104, up5k, nexus = map(find_device, ("ZCU104", "iCEBreaker", "LIFCL-40"))
    # 72 bits wide and nothing else: a bank of bytes takes one, as wasteful as it is.
    assert map_ram(4096, 8, zcu104, style="huge") == Mapping("URAM288", 1, (4096, 72), 1)
    assert map_ram(4096, 8, zcu104, style="auto huge").primitive == "RAMB36E2"
    assert map_ram(4096, 72, zcu104, style="auto huge").primitive == "URAM288"
    assert map_ram(4096, 72, zcu104).primitive == "RAMB36E2"
    assert map_ram(16384, 8, nexus, style="huge") == Mapping("DPSC512K", 1, (16384, 32), 1)
    assert map_ram(16384, 8, up5k, ports="1rw", style="huge").primitive == "SB_SPRAM256KA"
    assert map_rom(16384, 32, nexus, style="huge").primitive == "DPSC512K"  # initialisable


@pytest.mark.parametrize(
    ("board", "call", "message"),
    [
        (
            "ZCU104",
            lambda device: map_rom(4096, 8, device, style="huge"),
            "XCZU7EV has no huge memory for rom ports with initial contents; take style 'auto'",
        ),
        (
            "ZCU104",
            lambda device: map_ram(4096, 8, device, initialised=True, style="huge"),
            "XCZU7EV has no huge memory for 1r1w ports with initial contents; take style 'auto'",
        ),
        (
            "iCEBreaker",
            lambda device: map_ram(4096, 8, device, style="huge"),
            "iCE40UP5K has no huge memory for 1r1w ports; take style 'auto'",
        ),
        (
            "ULX3S 25F",
            lambda device: map_ram(4096, 8, device, style="huge"),
            "LFE5U-25F has no huge memory for 1r1w ports; take style 'auto'",
        ),
    ],
)
def test_memory_that_a_device_lacks(board, call, message):
    with pytest.raises(SqhwError) as caught:
        call(find_device(board))
    assert str(caught.value) == message


def test_no_rom_of_any_device_is_in_memory_that_cannot_be_initialised():
    for device in load_devices().values():
        cells = {cell.name: cell for cell in device.memories}
        for depth in (64, 1000, 4096, 300_000):
            for width in (1, 8, 72):
                rom = map_rom(depth, width, device, style="auto huge")
                assert rom.primitive is None or cells[rom.primitive].initialisable


def test_unknown_style_or_ports():
    device = find_device("iCE40UP5K")
    with pytest.raises(ValueError, match=r"^style must be one of auto, auto huge, block, huge, "):
        map_rom(8, 8, device, style="ultra")
    with pytest.raises(ValueError, match=r"^ports must be one of rom, 1r1w, 1rw, not '2rw'$"):
        map_ram(8, 8, device, ports="2rw")


def test_forced_block_ram_takes_a_block():
    for device in load_devices().values():
        assert map_rom(4, 2, device, style="block").blocks == 1


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

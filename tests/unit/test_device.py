import dataclasses
import re

import pytest

from sqhw.cost_models.device import (
    Device,
    check_names_once,
    find_device,
    load_devices,
    parse_family,
)
from sqhw.errors import SqhwError

FAMILY = """
family = "tiny"
lut_inputs = 4
source = ["a manual"]

[mapping]
rule = "memory_libmap"
rom_bits_per_cost = 16
ram_bits_per_cost = 1
source = ["a manual"]

[[memory]]
name = "RAM1K"
kind = "block"
modes = [[1024, 1], [512, 2]]
ports = 2
rw_width = 2
collision = "undefined"
initialisable = true
byte_enable = 0
cost = 16
source = ["a manual"]

[[multiplier]]
name = "MUL8"
widths = [8, 8]
least_widths = [4, 2]
least_product = 7
inferred = true
per_block = 1
source = ["a manual"]

[[device]]
name = "T1"
luts = 100
ffs = 200
dsps = 0
blocks = { RAM1K = 4 }
boards = ["Tiny Board"]
source = ["a manual"]
"""

BAD_MODES = (
    "memory 'RAM1K': modes must be pairs [depth, width] of whole numbers, depth a power of two, "
    "narrowest first, not "
)


def message_of(text: str) -> str:
    with pytest.raises(SqhwError) as caught:
        parse_family(text, "tiny.toml")
    return str(caught.value)


def test_family_file_is_read():
    (device,) = parse_family(FAMILY, "tiny.toml")
    assert (device.name, device.family, device.luts, device.ffs) == ("T1", "tiny", 100, 200)
    assert (device.lut_inputs, device.dsps, device.boards) == (4, 0, ("Tiny Board",))
    assert device.multipliers == ()
    assert (device.bram.name, device.brams, device.bram.bits) == ("RAM1K", 4, 1024)
    assert device.bram.modes == ((1024, 1), (512, 2))
    assert device.block_count("RAM2K") == 0


# Each row: what to replace, with what, and the whole message.
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("luts = 100", "lut = 100", "device 'T1': unknown key 'lut'; did you mean 'luts'?"),
        ("luts = 100\n", "", "device 'T1': key 'luts' is missing"),
        (
            "luts = 100",
            "luts = 0",
            "device 'T1': luts must be a whole number of 1 or more, not 0",
        ),
        (
            "ffs = 200",
            "ffs = 2e2",
            "device 'T1': ffs must be a whole number of 1 or more, not 200.0",
        ),
        (
            "ffs = 200",
            "ffs = true",
            "device 'T1': ffs must be a whole number of 1 or more, not True",
        ),
        (
            "lut_inputs = 4",
            "lut_inputs = 8",
            "device 'T1': lut_inputs must be 4, 5 or 6, not 8",
        ),
        (
            "{ RAM1K = 4 }",
            "4",
            "device 'T1': blocks must be a table of block counts, not 4",
        ),
        (
            "{ RAM1K = 4 }",
            "{ RAM1K = 0 }",
            "device 'T1': blocks.RAM1K must be a whole number of 1 or more, not 0",
        ),
        (
            "{ RAM1K = 4 }",
            "{ RAM1K = 4, RAM2K = 4 }",
            "device 'T1': blocks must name block or huge memories, not 'RAM2K'",
        ),
        (
            "{ RAM1K = 4 }",
            "{}",
            "device 'T1': blocks must name one memory of kind block, not {}",
        ),
        ('name = "T1"', 'name = ""', "device '': name must be a text, not ''"),
        ('name = "T1"\n', "", "device '?': key 'name' is missing"),
        (
            '["Tiny Board"]',
            '"Tiny Board"',
            "device 'T1': boards must be a list of 0 or more texts, not 'Tiny Board'",
        ),
        (
            'kind = "block"',
            'kind = "bram"',
            "memory 'RAM1K': kind must be one of distributed, block, huge, not 'bram'",
        ),
        (
            "modes = [[1024, 1], [512, 2]]",
            "modes = [[512, 2], [1024, 1]]",
            BAD_MODES + "[[512, 2], [1024, 1]]",
        ),
        (
            "modes = [[1024, 1], [512, 2]]",
            "modes = [[1000, 1]]",
            BAD_MODES + "[[1000, 1]]",
        ),
        (
            "initialisable = true",
            "initialisable = 1",
            "memory 'RAM1K': initialisable must be true or false, not 1",
        ),
        (
            "\ncost = 16",
            "\ncost = -1",
            "memory 'RAM1K': cost must be a whole number of 1 or more, not -1",
        ),
        (
            "\ncost = 16",
            "\ncost = 16\nused_cost = 17",
            "memory 'RAM1K': used_cost must be at most cost 16, not 17",
        ),
        ("ports = 2", "ports = 3", "memory 'RAM1K': ports must be 1 or 2, not 3"),
        (
            "ports = 2\nrw_width = 2",
            "ports = 1\nrw_width = 1",
            "memory 'RAM1K': rw_width of a single port must be 2, the widest mode",
        ),
        (
            "rw_width = 2",
            "rw_width = 3",
            "memory 'RAM1K': rw_width must be 0 or one of [1, 2], not 3",
        ),
        (
            '"undefined"',
            '"both"',
            "memory 'RAM1K': collision must be one of old, new, undefined, not 'both'",
        ),
        (
            "widths = [8, 8]",
            "widths = [8, 9]",
            (
                "multiplier 'MUL8': widths must be two whole numbers of 1 or more, the larger "
                "first, not [8, 9]"
            ),
        ),
        ("per_block = 1\n", "", "multiplier 'MUL8': key 'per_block' is missing"),
        ("byte_enable = 0\n", "", "memory 'RAM1K': key 'byte_enable' is missing"),
    ],
)
def test_bad_entry_is_refused(old, new, message):
    assert old in FAMILY
    assert message_of(FAMILY.replace(old, new)) == f"tiny.toml: {message}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('family = "tiny"\n', "", "tiny.toml: key 'family' is missing"),
        ("family", "famly", "tiny.toml: unknown key 'famly'; did you mean 'family'?"),
        (
            "rom_bits_per_cost = 16",
            "rom_bits_per_cost = 0",
            "tiny.toml: mapping: rom_bits_per_cost must be a whole number of 1 or more, not 0",
        ),
        (
            "rom_bits_per_cost = 16\n",
            "",
            (
                "tiny.toml: mapping: key 'rom_bits_per_cost' is missing, which rule "
                "'memory_libmap' needs"
            ),
        ),
        (
            'rule = "memory_libmap"\n',
            'rule = "memory_bram"\nleast_percent = 5\n',
            "tiny.toml: mapping: key 'rom_bits_per_cost' means nothing to rule 'memory_bram'",
        ),
        (
            '"memory_libmap"',
            '"magic"',
            (
                "tiny.toml: mapping: rule must be one of memory_libmap, memory_bram, fewest, "
                "not 'magic'"
            ),
        ),
        (
            'source = ["a manual"]\n\n',
            "source = []\n\n",
            "tiny.toml: source must be a list of 1 or more texts, not []",
        ),
    ],
)
def test_bad_family_is_refused(old, new, message):
    assert message_of(FAMILY.replace(old, new, 1)) == message


def test_family_without_devices_is_refused():
    text = FAMILY[: FAMILY.index("[[device]]")].replace("[mapping]", "device = []\n[mapping]")
    assert message_of(text) == "tiny.toml: device must be a list of tables, [[device]], not []"


def test_text_that_is_not_toml_is_refused():
    assert message_of("family =").startswith("tiny.toml: not TOML: Invalid value")


def test_cell_that_occurs_twice_is_refused():
    memory = FAMILY[FAMILY.index("[[memory]]") : FAMILY.index("[[multiplier]]")]
    assert message_of(FAMILY + memory) == "tiny.toml: memory 'RAM1K' occurs twice"


def test_dsps_need_a_multiplier():
    multiplier = FAMILY[FAMILY.index("[[multiplier]]") : FAMILY.index("[[device]]")]
    message = "tiny.toml: device 'T1': dsps must be 0 without a [[multiplier]] in the file, not 2"
    assert message_of(FAMILY.replace(multiplier, "").replace("dsps = 0", "dsps = 2")) == message


def test_name_that_occurs_twice_is_refused():
    devices = parse_family(FAMILY, "tiny.toml")
    seen: dict[str, str] = {"tiny board": "other.toml"}
    with pytest.raises(SqhwError) as caught:
        check_names_once(devices, "tiny.toml", seen)
    message = "tiny.toml: device 'T1': 'Tiny Board' is already in other.toml"
    assert str(caught.value) == message


# Device totals as nextpnr 0.11.1 prints them.
@pytest.mark.parametrize(
    ("name", "luts", "ffs", "dsps", "bram", "brams"),
    [
        ("iCE40UP5K", 5280, 5280, 8, "SB_RAM40_4K", 30),
        ("iCE40HX8K", 7680, 7680, 0, "SB_RAM40_4K", 32),
        ("iCE40LP8K", 7680, 7680, 0, "SB_RAM40_4K", 32),
        ("LFE5U-25F", 24288, 24288, 28, "DP16KD", 56),
        ("LFE5U-45F", 43848, 43848, 72, "DP16KD", 108),
        ("LFE5U-85F", 83640, 83640, 156, "DP16KD", 208),
        ("LIFCL-40", 32256, 32256, 56, "PDPSC16K", 84),
        ("GW1NR-9C", 8640, 6480, 20, "BSRAM", 26),
        ("GW5A-25A", 23040, 23040, 28, "BSRAM", 56),
    ],
)
def test_device_totals(name, luts, ffs, dsps, bram, brams):
    device = load_devices()[name]
    assert (device.luts, device.ffs, device.dsps) == (luts, ffs, dsps)
    assert (device.bram.name, device.brams) == (bram, brams)


@pytest.mark.parametrize(
    "family",
    "ice40 ecp5 nexus gowin gw5a gatemate efinix xc7 xcup cyclonev max10".split(),
)
def test_families(family):
    devices = [device for device in load_devices().values() if device.family == family]
    assert devices
    for device in devices:
        assert device.bram.block_count == 1
        assert device.bram.initialisable


def test_two_small_blocks_are_a_large_one():
    device = find_device("Arty A7-35T")
    assert (device.bram.name, device.brams) == ("RAMB18E1", 100)
    assert device.block_count("RAMB36E1") == 0
    assert {m.name: m.block_count for m in device.memories if m.block_name == "RAMB18E1"} == {
        "RAMB18E1": 1,
        "RAMB36E1": 2,
        "RAMB36E1 cascade": 4,
    }


def test_memories_are_those_of_the_device():
    assert find_device("iCE40UP5K").block_count("SB_SPRAM256KA") == 4
    assert [m.name for m in find_device("iCE40HX8K").memories] == ["SB_RAM40_4K"]
    ecp5 = [m.name for m in find_device("LFE5U-25F").memories]
    assert ecp5 == ["DP16KD", "TRELLIS_DPR16X4"]


def test_every_fact_has_a_source_that_anyone_can_open():
    for device in load_devices().values():
        cells = (*device.memories, *device.multipliers, device.mapping)
        for text in device.source + sum((cell.source for cell in cells), ()):
            assert not text.startswith("/")


def test_device_is_frozen():
    device: Device = find_device("iCE40UP5K")
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.luts = 1  # type: ignore[misc]
    assert isinstance(hash(device), int)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("iCE40UP5K", "iCE40UP5K"),
        ("iCE40UP5k", "iCE40UP5K"),
        ("icebreaker", "iCE40UP5K"),
        ("tinyfpga bx", "iCE40LP8K"),
        ("ULX3S 85F", "LFE5U-85F"),
        ("Colorlight i9", "LFE5U-45F"),
    ],
)
def test_device_is_found_by_its_name_or_board(name, device):
    assert find_device(name).name == device


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("ice40up5q", "iCE40UP5K"), ("icebraker", "iCEBreaker"), ("LFE5U25F", "LFE5U-25F")],
)
def test_typo_gets_the_nearest_name(name, nearest):
    message = f"unknown device '{name}'; did you mean '{nearest}'?"
    with pytest.raises(SqhwError, match=f"^{re.escape(message)}$"):
        find_device(name)


def test_device_of_a_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(FAMILY)
    assert find_device(str(path)) == find_device(f"{path}:tiny board") == find_device(f"{path}:t1")
    assert find_device(str(path)).name == "T1"
    with pytest.raises(SqhwError, match=r"^unknown device 'T2'; did you mean 'T1'\?$"):
        find_device(f"{path}:T2")


def test_device_of_a_known_family_needs_no_family(tmp_path):
    path = tmp_path / "mine.toml"
    text = 'base = "ice40up5k"\n\n' + FAMILY[FAMILY.index("[[device]]") :]
    path.write_text(text.replace("{ RAM1K = 4 }", "{ SB_RAM40_4K = 4 }"))
    mine, base = find_device(str(path)), find_device("iCE40UP5K")
    assert (mine.name, mine.brams, mine.luts) == ("T1", 4, 100)
    assert (mine.mapping, mine.bram) == (base.mapping, base.bram)
    path.write_text(text.replace("up5k", "up5q"))
    with pytest.raises(SqhwError) as caught:
        find_device(str(path))
    hint = "base: unknown device 'ice40up5q'; did you mean 'iCE40UP5K'?"
    assert str(caught.value) == f"{path}: {hint}"


def test_file_of_several_devices_wants_a_name(tmp_path):
    path = tmp_path / "tiny.toml"
    second = FAMILY[FAMILY.index("[[device]]") :].replace("T1", "T2").replace("Tiny B", "Small B")
    path.write_text(FAMILY + second)
    assert find_device(f"{path}:T2").boards == ("Small Board",)
    with pytest.raises(SqhwError) as caught:
        find_device(str(path))
    assert str(caught.value) == f"{path} has 2 devices, T1, T2; write {path}:T1 for one"


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(SqhwError, match=r"^device file .*none\.toml: no such file$"):
        find_device(str(tmp_path / "none.toml"))


def test_load_devices_returns_a_fresh_dictionary():
    load_devices().clear()
    assert load_devices()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("luts = 100", f"luts = {10**18}", "luts must be at most 1,000,000,000, not 1000000"),
        ("luts = 100", f"luts = {'9' * 5000}", "not TOML: "),
        ("luts = 100", "luts = 0x" + "f" * 5000, "holds a number of more than 20 digits"),
        ("luts = 100", "luts = 1e300", "luts must be a whole number of 1 or more, not 1e+300"),
        ("luts = 100", "luts = true", "luts must be a whole number of 1 or more, not True"),
        ("luts = 100", "luts = 2026-11-29", "holds a date or a time"),
        ("luts = 100", "luts = " + "[" * 1000, "nested more than 32 deep"),
        ("luts = 100", "luts" + ".a" * 1000 + " = 1", "nested more than 32 deep"),
    ],
)
def test_numbers_beyond_every_device_are_refused(old, new, message):
    assert old in FAMILY
    found = message_of(FAMILY.replace(old, new, 1))
    assert message in found
    assert len(found) < 300

"""The text of the emitted Verilog: the same bytes under every Python, names that say something."""

import hashlib
import json
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

import amaranth.tracer
import pytest

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import rom_widths
from sqhw.machine.rom_pieces import Piece, whole
from sqhw.rtl.emit import engine_verilog, leaf_verilog
from sqhw.verify.sources import without_initial_values

GOLDEN = Path(__file__).parents[1] / "golden" / "verilog.json"
DEPTHS = {"weights": 300, "params": 100, "codebook": 30}
#: Configurations that between them have every part of the engine, with their interface.
ENGINES = {
    "plain": (EngineConfig(), "plain"),
    "smallest": (EngineConfig(lanes=2, max_gap_bits=0, maxpool=False, lut_lanes=1), "plain"),
    "all": (
        EngineConfig(
            lanes=16, requantizers=4, max_batch=4, taps_per_entry=2, lut_lanes=3, groups=True,
            residuals=True,
        ),
        "plain",
    ),
    "axi": (EngineConfig(requantizers=2, writable=True), "axi"),
}  # fmt: skip


def pieces_of(name):
    """Return ROMs of one piece each, in the largest engine of two by two."""
    engine = ENGINES[name][0]
    widths = rom_widths(engine)
    if name != "all":
        return {rom: whole(DEPTHS[rom], width) for rom, width in widths.items()}
    return {rom: two_by_two(DEPTHS[rom], width) for rom, width in widths.items()}


def two_by_two(depth, width):
    half = 1 << (depth - 1).bit_length() - 1
    return tuple(
        Piece(first, words, low, bits)
        for first, words in ((0, half), (half, depth - half))
        for low, bits in ((0, 3), (3, width - 3))
    )


@cache
def emitted(name, prefix="sqhw"):
    engine, interface = ENGINES[name]
    return engine_verilog(engine, pieces_of(name), interface, prefix)


@pytest.mark.parametrize("name", ENGINES)
def test_no_name_comes_from_the_byte_code_of_the_call(monkeypatch, name):
    """Amaranth guesses from byte code how a signal without a name is called; Pythons differ."""

    def guess(*arguments, **options):
        raise AssertionError("a signal, memory or clock domain has no name")

    monkeypatch.setattr(amaranth.tracer, "get_var_name", guess)
    text = emitted.__wrapped__(name)
    assert not re.search(r"\$(signal|like|signature|memory)", text)
    assert "$auto$" not in text


@pytest.mark.parametrize("name", ENGINES)
def test_engine_has_the_golden_bytes(name):
    """Each Python that the tests run under is thereby shown to write the same Verilog."""
    golden = json.loads(GOLDEN.read_text())
    tools = {tool: version(tool) for tool in golden["versions"]}
    if tools != golden["versions"]:
        pytest.skip(f"golden bytes are those of {golden['versions']}, installed are {tools}")
    assert hashlib.sha256(emitted(name).encode()).hexdigest() == golden["sha256"][name]


def test_a_file_of_leaf_modules_has_the_names_asked_for():
    for leaf in ("rom", "ram"):
        plain, named = (leaf_verilog(f"sqhw_{leaf}.v", name) for name in ("sqhw", "cam"))
        assert named.replace("module cam_", "module sqhw_") == plain
        modules = re.findall(r"^module (\w+)", named, re.MULTILINE)
        assert modules
        assert all(module.startswith(f"cam_{leaf}") for module in modules)


@pytest.mark.parametrize("name", ENGINES)
def test_all_modules_and_images_begin_with_the_name(name):
    """What differs is the prefix: no module is left that another engine could have too."""
    plain, named = emitted(name), emitted(name, "cam")
    modules = re.findall(r"^module \\?([\w.]+)", named, re.MULTILINE)
    assert all(re.match(r"cam_(engine|axi)(\.|$)", module) for module in modules), modules
    instances = set(re.findall(r"^  (\\?[a-z]\S*) +(?:#\(|\S+ +\()", named, re.MULTILINE))
    assert len(instances) > 2
    assert all(re.match(r"\\?cam_", instance) for instance in instances), instances
    images = set(re.findall(r'\.FILE\("(.*)"\)', named))
    assert images == {f"cam_{image}" for image in re.findall(r'\.FILE\("(.*)"\)', plain)}
    back = re.sub(r'(?<=\.FILE\(")cam_', "", named)
    assert re.sub(r"\bcam_", "sqhw_", back) == plain


@pytest.mark.parametrize("name", ENGINES)
def test_benches_leave_out_the_initial_value_of_every_register(name):
    text = emitted(name)
    clocked = set(re.findall(r"^ +(\\\S+|\w+) (?:\[[^]]*\] )?<= ", text, re.MULTILINE))
    valued = set(re.findall(r"^  initial (\\\S+|\w+) += ", text, re.MULTILINE))
    assert clocked <= valued
    bare = without_initial_values(text)
    assert not re.search(r"^  (initial (?!#0 \\\$wake)|reg (?!\\\$wake).*=)", bare, re.MULTILINE)
    assert bare.count("$wake") == text.count("$wake") > 0
    rest = iter(text.splitlines())
    assert all(line in rest for line in bare.splitlines()), "a line was changed, not left out"

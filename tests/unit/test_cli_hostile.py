"""Every option of every command, given what no one should: refused at once, and nothing changes."""

import os
from hashlib import sha256
from typing import get_type_hints

import pytest
from command_line import run
from typer.main import get_command

from sqhw.cli.commands import app
from sqhw.errors import SqhwError

LONG = "x" * 300
HUGE = "9" * 5000
INTEGERS = ["", "-1", "1.5", "[/x]", HUGE, str(1 << 80)]
#: Integers that may be 0.
ZERO = ("seed", "compare", "quotient_ones")
FLOATS = ["", "-1", "0", "1.0001", "nan", "inf", "1e400"]
TEXTS = ["", "x" * 100_000, "[/x]", "\udcff", "../..", "1 2"]
#: Texts that are given a meaning by names that stand for files.
NAMES = {
    "device": ["{folder}.toml", "{pipe}.toml", "nothing.toml", LONG + ".toml", ".toml:x"],
    "technology": ["{folder}.toml", "{pipe}.toml", "nothing.toml", LONG + ".toml"],
    "mmi": ["{folder}", "{pipe}", "nothing.mmi:top", LONG + ".mmi:x"],
    "data": [
        "mnist:",
        "mnist:~nosuchuser",
        "cifar10:{file}",
        "mnist:" + LONG,
        "mnist:{pipe}",
        "folder:",
        "folder:{folder}",
        "folder:{file}",
        "folder:{loop}",
        "folder:" + LONG,
        "npz:",
        "npz:{folder}",
        "npz:{pipe}",
        "npz:{loop}",
        "npz:~nosuchuser",
        "npz:" + LONG,
    ],
    "budget": ["rom=1e400", "rom=-1", "rom=" + HUGE, "rom=٣", "rom=1,", "cycles=1.0", "energy=nan"],
}
#: Texts that only the network tells right from wrong; what they cause is tried below.
LATE = {
    *(("train", "network"), ("import", "network"), ("import", "output")),
    *(("size", "network"), ("size", "layer")),
}
#: Paths that are read.
SOURCES = {"source", "network", "checkpoint", "float_network", "files"}
OUTPUTS = ["", "{folder}", "{pipe}", "{link}", "{nowhere}", "{file}/x", LONG, f"new/{LONG}/x"]
INPUTS = ["", "{folder}", "{pipe}", "{nowhere}", "{loop}", "{file}/x", "nothing", LONG]
COMMANDS = get_command(app).commands
FUNCTIONS = {c.name or c.callback.__name__: c.callback for c in app.registered_commands}
STEPS = (
    *(f"{step}.{step}" for step in ("train", "import_network", "compress", "quantize", "simulate",
                                    "rom", "rtl", "verify", "report")),
    "size.size_network",
)  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of files to name, and steps that tell that nothing refused before them."""
    names = {
        name: tmp_path / name for name in ("file", "folder", "pipe", "link", "nowhere", "loop")
    }
    names["file"].write_bytes(b"old")
    for suffix in ("", ".toml", ".png", ".html"):
        (tmp_path / f"folder{suffix}").mkdir()
        os.mkfifo(tmp_path / f"pipe{suffix}")
        (tmp_path / f"link{suffix}").symlink_to("file")
        (tmp_path / f"nowhere{suffix}").symlink_to("no such target")
    names["loop"].symlink_to("loop")
    monkeypatch.chdir(tmp_path)

    def reached(*_, **__):
        raise SqhwError("REACHED")

    for step in STEPS:
        monkeypatch.setattr(f"sqhw.steps.{step}", reached)
    monkeypatch.setattr("sqhw.cli.demo.check_target", reached)
    return names


def state(folder):
    return sorted(
        (str(path), path.lstat().st_mode, path.lstat().st_ino,
         sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in folder.rglob("*")
        if path.name != "loop"
    )  # fmt: skip


def kind_of(command, option):
    """Return the type of an option, for example ``int | None``, as text."""
    return str(get_type_hints(FUNCTIONS[command])[option.name])


def hostile(command, option):
    """Return values for an option that none of them suits."""
    kind = kind_of(command, option)
    if "int" in kind:
        return [*INTEGERS, *([] if option.name in ZERO else ["0"])]
    if "float" in kind:
        return [value for value in FLOATS if (option.name, value) != ("clock", "1.0001")]
    if "Path" not in kind:
        return [*TEXTS, *NAMES.get(option.name, [])]
    if option.opts[0] == "--rtl" or (command, option.name) == ("simulate", "rom"):
        return [value for value in INPUTS if value not in ("", "{folder}")]
    if option.name in SOURCES:
        return INPUTS
    if command in ("rom", "rtl", "demo") or option.name == "work":  # writes to a folder
        return [value for value in OUTPUTS if value not in ("", "{folder}")] + ["{file}"]
    suffix = {"plot": ".png", "report": ".html"}.get(option.name, "")
    return [value + suffix for value in OUTPUTS]


def given(command, option, value):
    """Return the arguments of a command: what it needs, and one option of this value."""
    words = []
    for other in COMMANDS[command].params:
        if other.param_type_name == "argument":
            fine = "file" if "Path" in kind_of(command, other) else "vgg16"
            words += ["--", value if other is option else fine]
    chosen = [] if option.param_type_name == "argument" else [f"{option.opts[0]}={value}"]
    return [command, *chosen, *words]


@pytest.mark.parametrize("command", COMMANDS)
def test_refused_at_once_and_nothing_changes(monkeypatch, capsys, tmp_path, place, command):
    before = state(tmp_path)
    options = [o for o in COMMANDS[command].params if o.name in get_type_hints(FUNCTIONS[command])]
    options = [option for option in options if "bool" not in kind_of(command, option)]
    late = []
    for option in options:
        for value in hostile(command, option):
            words = given(command, option, value.format(**place) if "{" in value else value)
            code, out, err = run(monkeypatch, capsys, *words)
            shown = [word if len(word) < 400 else word[:400] for word in words]
            assert code in (1, 2), (shown, out, err)
            assert out == "", shown
            assert "Traceback" not in err, shown
            assert len(err) < 12_000, shown
            if code == 1:
                assert err.startswith("sqhw: "), (shown, err)
                assert err.count("\n") == 1, (shown, err)
            if "REACHED" in err and (command, option.name) not in LATE:
                late.append(shown)
    assert not late
    assert state(tmp_path) == before


def test_paths_have_our_checks_only():
    """Typer's own would say otherwise, in another form, what a file lacks."""
    for command in FUNCTIONS.values():
        for name, hint in get_type_hints(command, include_extras=True).items():
            if "Path" in str(getattr(hint, "__origin__", "")):
                (told,) = hint.__metadata__
                assert not told.readable, (command.__name__, name)


def test_the_tripwire_is_reached_by_what_is_right(monkeypatch, capsys, tmp_path, place):
    for words in (
        ["train", "--epochs", "1"],
        ["import", "resnet8"],
        ["compress", "file", "--rate", "1", "--threads", "2", "--budget", "rom=5", "--resume", "r"],
        ["quantize", "file", "--density", "0.5", "--bits", "8"],
        ["simulate", "file"],
        ["rom", "file", "--rtl", "folder", "--batch", "32"],
        ["rtl", "file", "--interface", "axi"],
        ["verify", "file", "--rtl", "folder", "--seed", str(2**64 - 1)],
        ["size", "vgg16", "--budget", "energy=0.5", "--device", "all"],
        ["report", "file", "file", "--device", "iCEBreaker"],
        ["demo", "--out", "new/demo"],
    ):
        code, out, err = run(monkeypatch, capsys, *words)
        assert (code, out) == (1, "")
        assert err.endswith("sqhw: REACHED\n"), words


@pytest.mark.parametrize("name", ["", "x" * 100_000, "[/x]", "\udcff", "../..", LONG])
def test_a_name_of_no_network(monkeypatch, capsys, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    for words in (["train", "--network", name], ["import", "--", name], ["size", "--", name]):
        code, out, err = run(monkeypatch, capsys, *words)
        assert (code, out) == (1, ""), err
        assert err.splitlines()[-1].startswith("sqhw: "), err
        assert len(err) < 1000
    assert not list(tmp_path.iterdir())


OWN = """base = "LFE5U-45F"
[[device]]
name = "Own"
luts = 43848
ffs = 43848
dsps = 72
blocks = { DP16KD = 108 }
boards = ["My Board"]
source = ["made up"]
"""
SAME = "that is the same file as"


@pytest.mark.parametrize(
    "words",
    [
        ["compress", "file", "--out", "file"],
        ["compress", "file", "--out", "./folder/../file"],
        ["compress", "file", "--out", "hard"],
        ["compress", "file", "--out", "new", "--resume", "new"],
        ["compress", "file", "--out", "new", "--resume", "new/../new"],
        ["compress", "file", "--resume", "file"],
        ["quantize", "file", "--out", "file"],
        ["quantize", "file", "--device", "own.toml", "--out", "own.toml"],
        ["import", "resnet8", "--checkpoint", "file", "--out", "hard"],
        ["train", "--data", "mnist:mnist", "--out", "mnist/t10k-labels-idx1-ubyte"],
        ["report", "file", "page.html", "--out", "page.html"],
        ["size", "page.png", "--plot", "page.png"],
    ],
)
def test_what_is_read_is_not_written(monkeypatch, capsys, tmp_path, place, words):
    (tmp_path / "hard").hardlink_to(place["file"])
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte").write_bytes(b"")
    (tmp_path / "own.toml").write_text(OWN)
    for name in ("page.html", "page.png"):
        (tmp_path / name).write_bytes(b"old")
    before = state(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, out) == (1, "")
    assert SAME in err, err
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["verify", "file", "--rtl", "sim/cxxrtl", "--work", "sim", "--simulator", "cxxrtl"],
            "sim/cxxrtl is read and lies in sim/cxxrtl, which is emptied before a run; name",
        ),
        (
            ["verify", "file", "--rtl", "sim/cxxrtl/rtl", "--work", "sim/../sim", "--simulator",
             "cxxrtl"],
            "sim/cxxrtl/rtl is read and lies in sim/../sim/cxxrtl, which is emptied before a run",
        ),
        (
            ["verify", "other/verilator/net", "--rtl", "folder", "--work", "sim"],
            "other/verilator/net is read and lies in sim/verilator, which is emptied before a run",
        ),
        (["rom", "sim/weights.hex", "--out", "sim"], "sim/weights.hex lies in sim, where files"),
        (["rom", "sim/weights.hex", "--out", "other"], "sim/weights.hex lies in other, where"),
        (["rtl", "sim/rtl.json", "--out", "./sim"], "sim/rtl.json lies in sim, where files that"),
    ],
)  # fmt: skip
def test_what_is_read_does_not_lie_where_files_go(
    monkeypatch, capsys, tmp_path, place, words, message
):
    for name in ("sim/cxxrtl/rtl", "sim/verilator"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("sim/verilator/net", "sim/weights.hex", "sim/rtl.json"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "other").symlink_to("sim")
    before = state(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words)
    assert (code, out) == (1, "")
    assert err.startswith(f"sqhw: {message}"), err
    assert state(tmp_path) == before

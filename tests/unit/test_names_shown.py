"""Names with a terminal's commands, line breaks, formulas and bytes that are no UTF-8."""

import pytest

from sqhw.cli import console, entry
from sqhw.errors import SqhwError, printable
from sqhw.report import size_plot
from sqhw.report.plots import drawn, literal, write_report

NAMES = [r"$\frac{a$", "a$b$^", "\udcff", "\x1b[2J\x07", "two\nlines", "$ \\$ $"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202egnp", r"\u202egnp"),
        ("\udcff", r"\udcff"),
        ("é Ω 5\u00a0µJ", "é Ω 5\u00a0µJ"),
    ],
)
def test_controls_are_escaped_and_letters_are_not(text, shown):
    assert printable(text) == shown


def test_what_is_printed_has_no_controls(capsys):
    console.emit({}, False, ["layer \x1b[2J", "next\rline"])
    with console.progress() as report:
        report("rom", 1, 1, "net\x1b[2J\n")
    printed = capsys.readouterr()
    assert printed.out == "layer \\x1b[2J\nnext\\rline\n"
    assert "\x1b[2J" not in printed.err


def test_errors_have_no_controls(monkeypatch, capsys):
    def fail():
        raise SqhwError("layer \x1b[2J\nis wrong")

    monkeypatch.setattr("sqhw.steps.devices.devices", fail)
    monkeypatch.setattr("sys.argv", ["sqhw", "devices"])
    with pytest.raises(SystemExit):
        entry.main()
    assert capsys.readouterr().err == "sqhw: layer \\x1b[2J\\nis wrong\n"


NUMBERS = {"weights": 4, "nonzeros": 2, "bits": 3, "payload": 6, "stream": 8, "rom": 9}
RATIO = dict.fromkeys(("payload", "stream", "rom", "blocks"), 2.0)


def account(name, label):
    return {
        "network": name,
        "label": label,
        "method": name,
        "device": name,
        "accuracy": {"test": 0.5},
        "sizes": {"payload": 60, "stream": 80, "rom": 90, "blocks": 2},
        "ratio": RATIO,
        "layers": [{"name": name, **NUMBERS}],
    }


@pytest.mark.parametrize("name", NAMES)
def test_plots_of_accounts_take_any_name(tmp_path, name):
    write_report([account(name, name)], tmp_path / "layers.png")
    write_report([account(name, name), account("b", f"{name}2")], tmp_path / "sizes.svg")
    assert (tmp_path / "layers.png").stat().st_size > 1000


@pytest.mark.parametrize("name", NAMES)
def test_plots_of_sizes_take_any_name(tmp_path, name):
    figure = size_plot._figure(4, 4, name)
    figure.subplots().set_yticks([0], [literal(name)])
    assert drawn(figure, "png").startswith(b"\x89PNG")


def test_a_dollar_begins_no_formula():
    figure = size_plot._figure(4, 4, "a$b$")
    assert figure.get_suptitle() == r"a\$b\$"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("libtorch_cpu.so: failed to map segment from shared object", entry.NO_MEMORY),
        ("PLEASE READ\nlibx.so.3: cannot allocate memory in static TLS block", entry.NO_MEMORY),
        (
            "/opt/libz.so.1: cannot open shared object file: No such file",
            "cannot load the library libz.so.1: cannot open shared object file: No such file",
        ),
    ],
)
def test_a_library_that_does_not_load_is_a_sentence(monkeypatch, capsys, text, message):
    def fail():
        raise ImportError(text)

    monkeypatch.setattr("sqhw.steps.devices.devices", fail)
    monkeypatch.setattr("sys.argv", ["sqhw", "devices"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == entry.FAILED
    assert capsys.readouterr().err == f"sqhw: {message}\n"


def test_a_module_that_is_missing_shows_where(monkeypatch):
    def fail():
        raise ImportError("cannot import name 'x' from 'sqhw.y'")

    monkeypatch.setattr("sqhw.steps.devices.devices", fail)
    monkeypatch.setattr("sys.argv", ["sqhw", "devices"])
    with pytest.raises(ImportError):
        entry.main()


def test_lack_of_memory_behind_another_error(monkeypatch, capsys):
    def fail():
        try:
            raise OSError("libllvmlite.so: failed to map segment from shared object")
        except OSError as error:
            raise OSError("Could not find/load shared object file") from error

    monkeypatch.setattr("sqhw.steps.devices.devices", fail)
    monkeypatch.setattr("sys.argv", ["sqhw", "devices"])
    with pytest.raises(SystemExit):
        entry.main()
    assert capsys.readouterr().err == f"sqhw: {entry.NO_MEMORY}\n"

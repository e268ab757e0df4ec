"""Measured figures and the digests of what they were measured on cannot part without a word."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.cost_engine import synthesis
from benchmarks.cost_engine.canonical import without_comments, without_names
from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import FAMILIES
from benchmarks.cost_engine.fit import calibrate
from benchmarks.cost_engine.origin import flow_digest, verilog_digest, write_verilog
from benchmarks.cost_engine.present import emitted_digest, find_present, name_of, read_present
from benchmarks.cost_engine.report import report_text
from benchmarks.cost_engine.synthesis import read_measurement, read_measurements
from benchmarks.seal import read_sealed_text, write_sealed_text
from sqhw.compiler.device_engine import engine_for
from sqhw.cost_models.calibration_file import load_calibrations
from sqhw.cost_models.device import find_device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.errors import SqhwError
from sqhw.frontends.zoo import zoo_topology
from sqhw.machine.config import EngineConfig

ROOT = Path(__file__).parents[2]
BENCHMARK = ROOT / "benchmarks" / "cost_engine"
DATA = BENCHMARK / "data"
UP5K = find_device("iCE40UP5K")
MEASURED = {name: read_measurements(DATA, name) for name in FAMILIES}
SMALL = Point(0, EngineConfig(lanes=2), {"weights": 64, "params": 32, "codebook": 16}, False)


def copied(folder, change=lambda entry: entry):
    """Return a copy of a measurement, changed by hand."""
    entry = json.loads((DATA / "ecp5" / "000.json").read_text())
    change(entry)
    path = folder / "000.json"
    path.write_text(json.dumps(entry, indent=1) + "\n")
    return path


def test_every_measurement_is_as_it_was_sealed():
    assert {name: len(found) for name, found in MEASURED.items() if found} == {
        name: len(list((DATA / name).glob("*.json"))) for name in FAMILIES
    }


def test_a_copy_is_read(tmp_path):
    assert read_measurement(copied(tmp_path)) == MEASURED["ecp5"][0]


@pytest.mark.parametrize(
    "change",
    [
        # What one commit did to 27 files: another digest beside the figures as they were.
        {"rtl": "6872a063230591b6"},
        {"verilog": "0" * 16},
        {"flow": "0" * 16},
        {"commit": "bcaf5c3"},
        {"tools": {"yosys": "0.71", "nextpnr-ecp5": "nextpnr-0.11.1"}},
        {"family": "nexus"},
        {"luts": 5000},
        {"fmax_mhz": None},
        {"seal": "0" * 64},
    ],
)
def test_what_is_changed_by_hand_is_refused(change, tmp_path):
    path = copied(tmp_path, lambda entry: entry.update(change))
    with pytest.raises(SqhwError, match=r"000.json in .* is not as it was sealed"):
        read_measurement(path)


def test_another_point_is_refused(tmp_path):
    path = copied(tmp_path, lambda entry: entry["point"]["engine"].update(lanes=16))
    with pytest.raises(SqhwError, match="is not as it was sealed"):
        read_measurement(path)


def test_without_a_seal_it_is_refused(tmp_path):
    path = copied(tmp_path, lambda entry: entry.pop("seal"))
    with pytest.raises(SqhwError, match="has no seal"):
        read_measurement(path)


@pytest.mark.parametrize("suffix", [".md", ".csv"])
def test_a_sealed_text(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    write_sealed_text(path, "on 442aa4b\n1 2 3\n")
    assert read_sealed_text(path) == "on 442aa4b\n1 2 3\n"
    whole = path.read_text()
    for changed in (whole.replace("442", "443"), whole.replace("2 3", "2 4"), "on 442aa4b\n1\n"):
        path.write_text(changed)
        with pytest.raises(SqhwError, match="restore the file or measure it again"):
            read_sealed_text(path)


def test_measurements_name_commit_and_digests():
    for one in [one for family in MEASURED.values() for one in family]:
        assert re.fullmatch("[0-9a-f]{7,}", one.commit)  # of a working tree without changes
        assert all(re.fullmatch("[0-9a-f]{16}", text) for text in (one.rtl, one.verilog, one.flow))
        assert one.tools["yosys"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_calibration_is_the_fit_of_the_measurements(name):
    kept = json.loads((ROOT / "cost_models" / "calibration" / f"{name}.json").read_text())
    fitted = json.loads(json.dumps(calibrate(FAMILIES[name], MEASURED[name])))
    for quantity in ("luts", "ffs", "period_ns"):
        if kept[quantity] is not None:
            # Solved in floats, which differ by processor.
            assert kept[quantity].pop("factors") == pytest.approx(
                fitted[quantity].pop("factors"), rel=1e-3, abs=1e-3
            )
            for error in ("mean_error", "worst_error"):
                assert kept[quantity].pop(error) == pytest.approx(
                    fitted[quantity].pop(error), abs=1e-3
                )
    assert kept == fitted


def test_the_table_is_that_of_the_measurements():
    printed = report_text(MEASURED, read_present(DATA))
    assert printed in (BENCHMARK / "RESULTS.md").read_text()


def test_a_comment_is_no_other_verilog():
    text = 'module a; /* lint_off */\n  // "no text"\n  initial $f("a//b", /*"*/ 1);\nendmodule\n'
    assert without_comments(text) == 'module a; initial $f("a//b", 1); endmodule'


VERILOG = """
module top(clk, b, a, q);
  input a;
  input b;
  input clk;
  wire \\$1 ;
  (* init = 1'h0 *)
  wire late;
  output [3:0] q;
  reg [3:0] q = 4'h3;
  assign \\$1  = a & b;
  always @(posedge clk)
    q <= { late, 3'h0 };
  \\top.inner  inner (
    .first(\\$1 ),
    .\\next$2 (late)
  );
endmodule
module \\top.inner (first, \\next$2 );
  input first;
  wire first;
  output \\next$2 ;
  wire \\next$2 ;
  assign \\next$2  = ~ first;
endmodule
"""
#: Other names inside, in another order, and an initial value that stands apart.
RENAMED = """
/* verilator lint_off WIDTH */
module top(a, b, clk, q);
  (* init = 1'h0 *)
  wire a_late;
  input a;
  input b;
  input clk;
  output [3:0] q;
  reg [3:0] q;
  initial q = 4'h3;
  wire z;
  assign z = a & b;
`ifdef __ICARUS__
  initial #0 z = 1;
`endif
  always @(posedge clk)
    q <= { a_late, 3'h0 };
  \\top.inner  inner (
    .\\after$9 (a_late),
    .\\before$7 (z)
  );
endmodule
module \\top.inner (\\after$9 , \\before$7 );
  output \\after$9 ;
  wire \\after$9 ;
  input \\before$7 ;
  wire \\before$7 ;
  assign \\after$9  = ~ \\before$7 ;
endmodule
"""


def test_names_are_no_other_circuit():
    assert without_names(VERILOG, "top") == without_names(RENAMED, "top")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a & b", "a | b"),
        ("a & b", "b & a"),
        ("q = 4'h3", "q = 4'h2"),
        ("init = 1'h0", "init = 1'h1"),
        ("output [3:0] q", "output [2:0] q"),
        (".first(\\$1 )", ".first(a)"),
        ("~ first", "first"),
        ("posedge", "negedge"),
        ("  input b;\n", "  input b;\n  input c;\n"),
        ("late, 3'h0", "\\$1 , 3'h0"),
    ],
)
def test_another_circuit_is_told_apart(old, new):
    assert old in VERILOG
    changed = VERILOG.replace(old, new)
    assert without_names(changed, "top") != without_names(VERILOG, "top")


def test_digest_of_an_engine(tmp_path):
    family = FAMILIES["ice40"]
    write_verilog(family, SMALL, tmp_path)
    found = verilog_digest(tmp_path)
    engine = tmp_path / "sqhw_engine.v"
    text = engine.read_text()
    engine.write_text("// verilator lint_off WIDTH\n\n" + text.replace(";\n", "; // nothing\n"))
    assert verilog_digest(tmp_path) == found
    engine.write_text(text.replace(" + ", " - ", 1))
    assert verilog_digest(tmp_path) != found


def test_flows_have_digests_of_their_own():
    assert len({flow_digest(family) for family in FAMILIES.values()}) == len(FAMILIES)


def test_what_is_present_is_found_anew(tmp_path, monkeypatch):
    """Other Verilog, and the tables say that the measurement is older."""
    some = {"ice40": MEASURED["ice40"][13:14]}
    present = find_present(some, tmp_path)
    assert find_present(some, tmp_path) == present == read_present(tmp_path)
    (tmp_path / "present.json").write_text(
        json.dumps(vars(present) | {"rtl": {"ice40": "older"}, "verilog": {"ice40 13": "another"}})
    )
    assert read_present(tmp_path).status(*some["ice40"]) == "older RTL"
    assert find_present(some, tmp_path) == present


@pytest.mark.parametrize(("name", "number"), [("ice40", 150), ("ecp5", 8), ("xc7", 4)])
def test_what_the_tables_call_present_is(name, number):
    """After a change of the RTL: ``python -m benchmarks.cost_engine``, and its tables anew."""
    one = next(one for one in MEASURED[name] if one.point.number == number)
    present = read_present(DATA)
    assert emitted_digest(one) == present.verilog[name_of(one)]
    assert flow_digest(FAMILIES[name]) == present.flow[name]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_document_has_the_errors_of_the_table(name):
    lines = (BENCHMARK / "RESULTS.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    (cells,) = [row for row in rows if row[:1] == [name]]
    luts, ffs, clock = (", ".join(cells[at : at + 2]) for at in (4, 6, 9))
    fit = load_calibrations()[name]
    fitted, held = str(fit.luts.engines), str(fit.luts.held_out)
    if fit.period_ns:
        fitted += f", clock {fit.period_ns.engines}"
        held += f", clock {fit.period_ns.held_out}"
    clock = clock if fit.period_ns else ""
    row = f"| `{name}` | {fitted} | {held} | {luts} | {ffs} | {clock} |".replace("|  |", "| |")
    assert row in (ROOT / "docs" / "cost-engine.md").read_text().splitlines()


def test_a_twin_of_a_fitted_engine_is_named_and_left_out():
    """The one of the demo differs in the width of an address from one that was fitted."""
    lines = (BENCHMARK / "RESULTS.md").read_text().splitlines()
    (cells,) = [line.split("|") for line in lines if line.startswith("| ice40 without twins")]
    means = [cells[at].strip() for at in (5, 7, 10)]
    assert cells[2].strip() == "6"
    assert "- ice40 150 is nearly a twin of the fitted ice40 50" in "\n".join(lines)
    said = " ".join((ROOT / "docs" / "cost-engine.md").read_text().split())
    assert "Without it iCE40's means are {}, {} and {}.".format(*means) in said


@pytest.mark.parametrize("levels", [2, 32, 256])
def test_the_engines_of_the_demo_are_within_the_calibration(levels):
    """Of the network and the device that the product takes if nothing else is said."""
    engine = engine_for(UP5K, zoo_topology("digits-cnn"), levels=levels)
    for words in (1000, 3000, 4500, 5376):  # up to 21 block RAMs, 1 for the parameters
        cost = engine_cost(engine, UP5K, {"weights": words, "params": 256, "codebook": 80})
        assert cost.calibrated
        assert cost.notes == ()
        assert max(cost.luts_error, cost.ffs_error, cost.fmax_error) < 0.1


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("LFE5U-25F", "digits-cnn"),
        ("LFE5U-25F", "resnet8"),
        ("LFE5U-85F", "resnet8"),
        ("LFE5U-85F", "vgg16"),
        ("LIFCL-40", "resnet8"),
        ("GW2AR-18C", "resnet20"),
        ("XC7A100T", "vgg16"),
    ],
)
@pytest.mark.parametrize("levels", [32, 256])
def test_engines_of_the_zoo_are_within_the_calibration(device, name, levels):
    """Their LUTs and flip-flops; the clock of ECP5 up to 16 lanes, which an LFE5U-25F has."""
    part = find_device(device)
    engine = engine_for(part, zoo_topology(name), levels=levels)
    cost = engine_cost(engine, part, {"weights": 20_000, "params": 2000, "codebook": 300})
    assert cost.luts_error is not None
    assert cost.ffs_error is not None
    assert cost.calibrated == (part.family != "ecp5" or engine.lanes <= 16)


def test_the_engine_of_the_demo_was_held_out():
    engine = engine_for(UP5K, zoo_topology("digits-cnn"))
    (measured,) = [one for one in MEASURED["ice40"] if one.point.engine == engine]
    assert measured.point.held_out
    assert measured.fmax_mhz


def test_an_older_netlist_is_not_placed(tmp_path, monkeypatch):
    """A netlist that lies in the work folder may be of another Verilog."""
    made = []

    def synthesize(family, point, folder):
        made.append(point.number)
        raise SqhwError("enough")

    monkeypatch.setattr(synthesis, "_synthesize", synthesize)
    measured = next(one for one in MEASURED["ecp5"] if one.fmax_mhz is None)
    folder = tmp_path / "ecp5" / f"{measured.point.number:03d}"
    folder.mkdir(parents=True)
    (folder / "netlist.json").write_text("{}")
    with pytest.raises(SqhwError, match="enough"):
        synthesis.place_once(FAMILIES["ecp5"], measured, tmp_path, tmp_path)
    assert made == [measured.point.number]

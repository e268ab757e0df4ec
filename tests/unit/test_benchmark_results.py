"""The tables of the benchmarks say what their sealed measurements say, and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import verification
from benchmarks.compression.cases import CASES, cases
from benchmarks.compression.oneshot import markdown as curve_markdown
from benchmarks.compression.runner import read_result
from benchmarks.compression.table import heading, markdown, missing
from benchmarks.cost_engine.origin import emit, verilog_digest
from benchmarks.cost_memory.__main__ import main as cost_memory
from benchmarks.cost_memory.grid import DATA as GRIDS
from benchmarks.engine.__main__ import read_results, report_text
from benchmarks.fuzz.__main__ import report as fuzz_text
from benchmarks.fuzz.__main__ import rows_of
from benchmarks.mutants.report import report_text as mutants_text
from benchmarks.origin import sentence
from benchmarks.seal import KEY, LINES, read_sealed, read_sealed_text
from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.errors import SqhwError
from sqhw.frontends.zoo.catalogue import ZOO
from sqhw.network.quantized_file import load_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COMPRESSION = BENCHMARKS / "compression" / "results"
JSON = sorted(path for path in BENCHMARKS.rglob("*.json") if path.name != "present.json")
#: Sealed tables: all there is of a measurement, or printed from a file of results.
SEALED = (
    "coding",
    "cost_budget",
    "cost_cycles",
    "faults",
    "fuzz",
    "mutants",
    "simulator",
    "train_step",
)
TABLES = [BENCHMARKS / name / "RESULTS.md" for name in SEALED]
#: Table of the simulator's equality: its code for each target against the reference.
EQUAL = BENCHMARKS / "simulator" / "EQUAL.md"
TEXTS = [*TABLES, EQUAL, *sorted(GRIDS.glob("*.csv"))]


def test_every_file_of_measurements_is_as_it_was_sealed():
    assert len(JSON) > 100
    for path in JSON:
        assert read_sealed(path)
    for path in TEXTS:
        assert read_sealed_text(path)


def test_no_file_of_measurements_names_a_folder_of_a_machine():
    for path in JSON:
        assert not re.search(r'"/\w+/', path.read_text()), path


def test_every_file_of_measurements_says_what_it_is_of():
    for path in JSON:
        found = read_sealed(path)
        assert found.get("measured_on", found)["commit"]
    for path in TEXTS:
        text = read_sealed_text(path)
        assert (
            re.search("(measured on|recorded in) commit ", text.lower())
            or "yosys 0.70" in text.splitlines()[0]
        )


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (BENCHMARKS / "engine" / "results.json", '"luts": 4917', '"luts": 4017'),
        (BENCHMARKS / "engine" / "results.json", '"commit": "442aa4b"', '"commit": "0ba12ae"'),
        (COMPRESSION / "lenet5" / "low-rank.json", '"commit": "ce1c6d3"', '"commit": "672c3c1"'),
        (COMPRESSION / "oneshot-lenet5.json", '"test": 0.9458', '"test": 0.9558'),
        (BENCHMARKS / "cost_cycles" / "RESULTS.md", "commit 1ddc423", "commit 672c3c1"),
        (BENCHMARKS / "train_step" / "RESULTS.md", "| 43 |", "| 33 |"),
        (GRIDS / "rom_yosys.csv", "yosys 0.70", "yosys 0.71"),
    ],
)
def test_what_is_changed_by_hand_is_refused(path, old, new, tmp_path):
    text = path.read_text()
    assert old in text
    copy = tmp_path / path.name
    copy.write_text(text.replace(old, new, 1))
    read = read_sealed if path.suffix == ".json" else read_sealed_text
    with pytest.raises(SqhwError, match="is not as it was sealed"):
        read(copy)


def test_all_values_of_the_simulator_are_equal_on_every_target_that_ran():
    rows = [line.strip("| ").split(" | ") for line in read_sealed_text(EQUAL).splitlines()]
    rows = [row for row in rows if row[0] in ZOO]
    assert [row[0] for row in rows] == list(ZOO)
    for _, values, *found in rows:
        assert values in found
        assert set(found) <= {values, "not run here"}


def test_seals_are_of_one_kind():
    seals = [json.loads(path.read_text())[KEY] for path in JSON]
    seals += [path.read_text().splitlines()[-1] for path in TEXTS]
    assert len(set(seals)) == len(JSON) + len(TEXTS)
    assert set(LINES) == {path.suffix for path in TEXTS}


def test_table_of_the_engine():
    rows, areas, origin = read_results(BENCHMARKS / "engine" / "results.json")
    text = (BENCHMARKS / "engine" / "RESULTS.md").read_text()
    assert report_text(rows, areas, origin) in text
    assert sentence(origin) in text


#: Digests of Verilog as it was placed, and those of the engine in parts: `benchmarks.netlist` found
#: the flattened netlists equal (decision 37).
SAME_CIRCUIT = {
    "45dada3024b69251": "287cd1d798e71870",
    "e41177336917f614": "03d8dadc8af69eb6",
}


@pytest.mark.parametrize("taps", [1, 2])
def test_placed_engines_are_those_of_the_text(taps, tmp_path):
    """RESULTS.md and the README say that they are still the same circuits."""
    _, areas, _ = read_results(BENCHMARKS / "engine" / "results.json")
    network = load_network(BENCHMARKS / "engine" / "resnet8.safetensors")
    row = next(
        row
        for row in areas
        if (row.network, row.lut_lanes, row.taps_per_entry) == ("resnet8", 0, taps)
    )
    engine = replace(network.facts.engine, lut_lanes=0, taps_per_entry=taps)
    depths = compile_network(network, engine).depths
    pieces = rom_pieces(engine, depths, find_device(row.device))
    emit(engine, depths, pieces, tmp_path)
    assert verilog_digest(tmp_path) == SAME_CIRCUIT[row.verilog]


@pytest.mark.parametrize(
    ("short", "data", "epochs"), [("lenet5", "mnist:DIR", 12), ("resnet20", "cifar10:DIR", 6)]
)
def test_tables_of_compression(short, data, epochs):
    folder = COMPRESSION / short
    results = {path.stem: read_result(path) for path in folder.glob("*.json")}
    float_bits = next(iter(results.values()))["float32"]["payload"]
    labels = [case.label for case in cases(short, float_bits, list(CASES), epochs, 1, 0)]
    assert set(results) <= set(labels)
    text = heading(short, data, epochs)
    text += markdown(short, [results[label] for label in labels if label in results])
    text += missing([label for label in labels if label not in results])
    assert (folder / "RESULTS.md").read_text() == text


def test_table_of_mutants():
    record = read_sealed(BENCHMARKS / "mutants" / "results.json")
    assert read_sealed_text(BENCHMARKS / "mutants" / "RESULTS.md") == mutants_text(record)


def test_table_of_mutated_files():
    path = BENCHMARKS / "fuzz" / "RESULTS.md"
    assert read_sealed_text(path) == fuzz_text(list(rows_of(path).values()), 10_000, 0)


@pytest.mark.parametrize("name", SEALED)
def test_a_table_without_its_seal_is_refused(name, tmp_path):
    path = tmp_path / "RESULTS.md"
    lines = (BENCHMARKS / name / "RESULTS.md").read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(SqhwError, match="has no seal"):
        read_sealed_text(path)


@pytest.mark.parametrize("short", ["lenet5", "resnet20"])
def test_curves_of_compression(short):
    found = read_sealed(COMPRESSION / f"oneshot-{short}.json")
    assert (COMPRESSION / f"oneshot-{short}.md").read_text() == curve_markdown(found)


def test_tables_of_memory(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks.cost_memory"])
    with pytest.raises(SystemExit) as done:
        cost_memory()
    assert done.value.code == 0
    printed = capsys.readouterr().out.rstrip("\n")
    assert printed in (BENCHMARKS / "cost_memory" / "RESULTS.md").read_text()


def test_the_page_of_evidence_is_that_of_the_sealed_records():
    assert verification.PAGE.read_text() == verification.page()


def test_the_page_follows_the_records(monkeypatch):
    """A figure that differs in a record differs on the page."""
    right = verification.read_sealed

    def wrong(path):
        record = right(path)
        if path.parent.name == "mutants":
            record["rows"][0][2] = ""
        return record

    before = verification.page()
    monkeypatch.setattr(verification, "read_sealed", wrong)
    assert verification.page() != before
    assert "| all                         |    843 |     579 |" in verification.page()

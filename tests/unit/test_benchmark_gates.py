"""The table of the netlists says what its sealed measurements say."""

from pathlib import Path

from benchmarks.gates.__main__ import CASES, report_text
from benchmarks.seal import read_sealed

GATES = Path(__file__).parents[2] / "benchmarks" / "gates"


def test_every_netlist_equals_the_simulator():
    results = read_sealed(GATES / "results.json")
    assert (GATES / "RESULTS.md").read_text() == report_text(results)
    assert {(row["family"], row["device"], row["lanes"]) for row in results["rows"]} == set(CASES)
    assert all(row["bench"] == "PASS" for row in results["rows"])
    assert any(row["registers_moved"] for row in results["rows"])
    assert sum(row["noticed"] for row in results["rows"]) > 0

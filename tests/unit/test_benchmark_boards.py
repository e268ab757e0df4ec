"""The table of the boards says what its sealed measurements say."""

from pathlib import Path

from benchmarks.boards.__main__ import report_text
from benchmarks.seal import read_sealed

BOARDS = Path(__file__).parents[2] / "benchmarks" / "boards"


def test_the_table_is_that_of_the_results():
    results = read_sealed(BOARDS / "results.json")
    assert (BOARDS / "RESULTS.md").read_text() == report_text(results)


def test_every_check_passed():
    results = read_sealed(BOARDS / "results.json")
    assert all(build["fmax_mhz"] >= build["clock_mhz"] for build in results["builds"])
    assert all(build["words_read_back"] > 5000 for build in results["builds"])
    assert all(swap["equal_to_tool"] is not False for swap in results["swaps"])
    assert results["link"]["equal"] == results["link"]["images"] == 100

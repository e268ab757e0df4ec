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
    assert all(link["equal"] == link["images"] for link in results.get("links", []))


def test_lenet_on_an_icebreaker_keeps_its_maps_beside_the_block_rams():
    folder = BOARDS / "lenet5"
    results = read_sealed(folder / "results.json")
    assert (folder / "RESULTS.md").read_text() == report_text(results)
    (build,) = results["builds"]
    assert build["fmax_mhz"] >= build["clock_mhz"]
    blocks = {f["name"]: (f["model"], f["placed"]) for f in build["figures"] if f["placed"] < 100}
    assert blocks == {"SB_RAM40_4K": (18, 18), "DSPs": (4, 4), "SB_SPRAM256KA": (4, 4)}
    assert results["swaps"][0]["equal_to_tool"] is True
    assert results["mnist"]["equal"] == results["mnist"]["images"] == 100
    assert results["mnist"]["cycles"] == build["cycles"]


def test_resnet20_on_a_ulx3s():
    folder = BOARDS / "resnet20"
    results = read_sealed(folder / "results.json")
    assert (folder / "RESULTS.md").read_text() == report_text(results)
    (build,) = results["builds"]
    assert build["fmax_mhz"] >= build["clock_mhz"]
    assert build["words_read_back"] == results["swaps"][0]["words_read_back"] == 19_968

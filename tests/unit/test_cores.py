"""Engines of several cores: cycles of frames in flight, sizes, and what is refused."""

import json
from pathlib import Path

import pytest
from golden_networks import golden_networks

from sqhw.cost_models.cluster import FrameTimes
from sqhw.cost_models.device import find_device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.cost_models.schedule import frame_cycles, schedule
from sqhw.errors import SqhwError
from sqhw.export.manifest import check_manifest, cores_of
from sqhw.machine.config import EngineConfig
from sqhw.steps.options import RtlOptions, SizeOptions
from sqhw.steps.rtl import rtl
from sqhw.steps.size import size_network

NETWORK = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
FRAMES = 400


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 16])
@pytest.mark.parametrize(("pixels", "results", "run"), [(10, 2, 500), (200, 2, 90), (10, 70, 90)])
def test_frames_come_at_the_interval_of_the_slowest_part(cores, pixels, results, run):
    times = FrameTimes(cores, pixels, results, run, each_result=6, between=20)
    ends = times.last_results(FRAMES + 1)
    late = FRAMES // 2 // cores * cores
    whole = (FRAMES - late) // cores * cores
    assert ends[late + whole] - ends[late] == whole * times.interval
    assert ends == sorted(set(ends))


def test_one_core_has_the_cycles_of_an_engine():
    network = golden_networks()["chain"]
    engine = EngineConfig(lanes=16, bank_depth=1024, max_batch=2)
    for batch in (1, 2):
        cycles = schedule(network, engine, batch).cycles
        times = FrameTimes.of(network, engine, cycles, batch)
        assert times.interval == times.alone
        assert times.alone == pytest.approx(batch * frame_cycles(network, engine, cycles, batch))


def test_sizes_are_those_of_all_cores():
    one, four = (
        size_network(
            SizeOptions(network="digits-cnn", density=0.3, bits=4, device="LFE5U-25F", cores=cores)
        )["devices"][0]
        for cores in (1, 4)
    )
    assert four["cores"] == four["engine"]["cores"] == 4
    assert "cores" not in one["engine"]
    for key in ("blocks", "dsps"):
        assert four[key] == 4 * one[key]
    assert 4 * one["luts"] < four["luts"] < 4.1 * one["luts"]
    assert four["image_cycles"] == one["image_cycles"] == one["image_interval"]
    assert four["image_interval"] == pytest.approx(one["image_interval"] / 4)
    assert not four["calibrated"]
    assert "cores: 4, calibrated 1 only" in four["notes"]


def test_the_stream_of_pixels_bounds_many_cores():
    options = SizeOptions(network="digits-cnn", density=0.02, device="LFE5U-25F", cores=16)
    (found,) = size_network(options)["devices"]
    assert found["image_interval"] >= 8 * 8 + 1


def test_the_cost_of_cores_is_that_of_one_many_times():
    depths = {"weights": 1000, "params": 200, "codebook": 64}
    one, two = (
        engine_cost(EngineConfig(lanes=8, cores=cores), find_device("LFE5U-25F"), depths)
        for cores in (1, 2)
    )
    assert (two.brams, two.dsps) == (2 * one.brams, 2 * one.dsps)
    assert two.luts - 2 * one.luts == 76  # 75 of yosys
    assert two.ffs - 2 * one.ffs == 38
    assert two.fmax_error is None


def test_verilog_tells_its_cores_and_suits_the_images_of_one(tmp_path):
    rtl(RtlOptions(network=NETWORK, out=tmp_path / "one"))
    found = rtl(RtlOptions(network=NETWORK, out=tmp_path / "three", cores=3))
    assert found["engine"]["cores"] == cores_of(tmp_path / "three") == 3
    assert cores_of(tmp_path / "one") == cores_of(tmp_path) == 1
    text = (tmp_path / "three" / "sqhw_engine.v").read_text()
    assert text.count("sqhw_core core_") == 3
    assert text.count("module sqhw_core(") == 1
    engine = EngineConfig.from_dict(
        json.loads((tmp_path / "one" / "rtl.json").read_text())["engine"]
    )
    check_manifest(tmp_path / "three", "rtl", engine)


@pytest.mark.parametrize("cores", [0, 17, -1, True])
def test_numbers_of_cores_out_of_range_are_refused(tmp_path, cores):
    for call in (
        lambda: rtl(RtlOptions(network=NETWORK, out=tmp_path / "rtl", cores=cores)),
        lambda: size_network(SizeOptions(network="digits-cnn", cores=cores)),
    ):
        with pytest.raises(SqhwError, match=r"^cores must be 1 to 16, not "):
            call()
    assert not (tmp_path / "rtl").exists()


def test_what_drives_one_core_refuses_several(tmp_path):
    bench = RtlOptions(network=NETWORK, bench=tmp_path / "bench", cores=2)
    with pytest.raises(SqhwError, match=r"^the bench drives one core, not 2; leave --bench out"):
        rtl(bench)
    search = SizeOptions(network="digits-cnn", device="LFE5U-25F", explore=True, cores=2)
    with pytest.raises(SqhwError, match=r"^a search tries several numbers of cores by itself"):
        size_network(search)


@pytest.mark.parametrize("cores", [0, 99, "2"])
def test_a_damaged_manifest_is_told(tmp_path, cores):
    rtl(RtlOptions(network=NETWORK, out=tmp_path))
    manifest = tmp_path / "rtl.json"
    found = json.loads(manifest.read_text())
    found["engine"]["cores"] = cores
    manifest.write_text(json.dumps(found))
    with pytest.raises(SqhwError, match=r"rtl\.json is damaged: cores must be 1 to 16, not"):
        cores_of(tmp_path)

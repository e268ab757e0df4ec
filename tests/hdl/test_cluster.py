"""Engines of several cores: frames in flight equal the simulator, in the cycles predicted."""

import numpy as np
import pytest
from hdl.support import in_four, random_program
from strategies import random_images

from sqhw.cost_models.cluster import FrameTimes
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.job import check_job, job_of
from sqhw.verify.stimulus import ALWAYS, FRAME

ENGINE = EngineConfig(
    lanes=2, bank_depth=256, weight_addr_bits=11, param_addr_bits=10, max_batch=2, cores=3
)
LIMITS = {"residuals": False, "groups": False, "max_size": 6, "max_layers": 3}
#: Seeds of networks by what sets the pace of their frames.
SEEDS = {"cores": 22, "results": 35, "pixels": 29}
IMAGES = 24


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Return a bench of three cores, and the pieces of its ROMs: one build serves all networks."""
    folder = tmp_path_factory.mktemp("cluster")
    depths = {"weights": 1 << 11, "params": 1 << 10, "codebook": 1 << ENGINE.codebook_addr_bits}
    pieces = in_four(ENGINE, depths)
    write_rtl(ENGINE, depths, folder, pieces=pieces, name="cam")
    return VolumeBench(folder, folder / "work", optimize=0), pieces, folder


def always(count):
    """Return frames of streams that never wait."""
    frames = np.zeros(count, FRAME)
    frames["run"], frames["valid"], frames["listen"] = np.arange(count), ALWAYS, ALWAYS
    return frames


@pytest.mark.parametrize("pace", ["cores", "results"])
def test_frames_in_flight(bench, tmp_path, pace):
    volume, pieces, _ = bench
    seed = SEEDS[pace]
    program = random_program(seed, ENGINE, **LIMITS)
    images = random_images(program.network, seed, IMAGES)
    results = job_of(program, images).results
    assert len(np.unique(results, axis=0)) == IMAGES  # those of another frame are noticed
    write_rom(program, tmp_path, pieces, "cam")
    report = volume.run(program, images, tmp_path, seed)
    assert report.images == IMAGES
    maps = [shape for name, shape in program.network.shapes().items() if name != "input"]
    assert report.activations == IMAGES * sum(c * h * w for c, h, w in maps)
    assert report.cycles == schedule(program.network, ENGINE).cycles
    assert report.resets >= IMAGES // 3


@pytest.mark.parametrize("pace", SEEDS)
def test_the_cycles_of_frames_in_flight_are_those_predicted(bench, tmp_path, pace):
    volume, pieces, rtl = bench
    seed = SEEDS[pace]
    program = random_program(seed, ENGINE, **LIMITS)
    images = random_images(program.network, seed, 8)
    write_rom(program, tmp_path, pieces, "cam")
    roms = volume.copy_roms(check_job(program, images, rtl, tmp_path), tmp_path)
    measured = []
    for count in range(1, 9):
        job = job_of(program, images[:count])
        measured.append(volume.run_frames(job, always(count), roms, 0).clock_cycles)
    times = FrameTimes.of(program.network, ENGINE, job.cycles)
    paces = {"cores": times.alone / 3, "results": times.receiving, "pixels": times.sending}
    assert times.interval == paces[pace]
    ends = times.last_results(8)
    assert [cycle - measured[0] for cycle in measured] == [end - ends[0] for end in ends]

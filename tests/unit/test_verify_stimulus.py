"""What the benches do to the engine: every kind of reset, within the job's bounds, by the seed."""

from collections import Counter

import numpy as np
import pytest

from sqhw.verify.stimulus import FRAME, LONG_RESET, Phase, label, most_cycles, reset_count, stimulus
from sqhw.verify.waits import Waits

WAITS = Waits(ready=27, run=300, result=5)
PIXELS, RESULTS = 16, 10


def frames(seed: int, runs: int = 22) -> np.ndarray:
    return stimulus(seed, runs, PIXELS, RESULTS, WAITS)


@pytest.mark.parametrize("runs", [1, 4, 22, 64])
def test_every_run_goes_through_once_and_in_order(runs):
    found = frames(0, runs)
    whole = found[found["phase"] == Phase.WHOLE]
    assert whole["run"].tolist() == list(range(runs))
    assert found[-1]["phase"] == Phase.WHOLE  # so that something follows the last reset
    assert reset_count(found) == len(found) - runs


@pytest.mark.parametrize("runs", [1, 4, 22])
def test_resets_come_in_runs_in_frames_in_and_out_and_between(runs):
    phases = Counter(Phase(int(phase)) for phase in frames(0, runs)["phase"])
    assert phases[Phase.RUN] >= runs / 6
    assert phases[Phase.PIXELS]
    assert phases[Phase.RESULTS]
    assert phases[Phase.BOOT] + phases[Phase.READY] + phases[Phase.START]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("runs", [1, 4, 22])
def test_each_job_has_the_resets_that_chance_seldom_gives(runs, seed):
    found = frames(seed, runs)
    interrupted = found[found["phase"] != Phase.WHOLE]
    in_run = interrupted["at"][interrupted["phase"] == Phase.RUN]
    assert (in_run >= WAITS.run - 1).any()  # with `done` or right before it
    out = interrupted[interrupted["phase"] == Phase.RESULTS]
    waiting = (out["result_stall_at"] == out["at"]) & (out["result_stall"] > out["after"])
    assert (waiting & (out["after"] == WAITS.result)).any()  # `out_valid` without `out_ready`
    assert (interrupted["reset"] == LONG_RESET).sum() == 1


def test_every_moment_comes_up():
    """Over some seeds: the first and the last cycle, pixel and result of each phase."""
    found = np.concatenate([frames(seed) for seed in range(300)])
    moments = {phase: found["at"][found["phase"] == phase] for phase in Phase}
    bounds = {
        Phase.BOOT: (0, WAITS.ready - 1),
        Phase.READY: (0, 5),
        Phase.PIXELS: (1, PIXELS),
        Phase.RUN: (1, WAITS.run),
        Phase.RESULTS: (0, RESULTS - 1),
    }
    for phase, bound in bounds.items():
        assert (moments[phase].min(), moments[phase].max()) == bound, phase
    assert set(found["reset"]) == {1, 2, 5, LONG_RESET}
    assert set(found["held"]) == {0, 1}
    assert found["early"].max() < WAITS.ready - 1  # `start` is low when the engine is ready
    assert (found["valid"] > 0).all()
    assert (found["listen"] > 0).all()


def test_the_seed_decides():
    assert np.array_equal(frames(2**64 - 1), frames(2**64 - 1))
    assert not np.array_equal(frames(0)[:5], frames(1)[:5])


def test_messages_name_the_reset():
    found = np.zeros(3, FRAME)
    found["phase"] = [Phase.RUN, Phase.PIXELS, Phase.WHOLE]
    found["run"], found["at"] = [5, 3, 0], [123, 7, 0]
    assert label(found, 0) == "run 5 (to be reset 123 cycles after start)"
    assert label(found, 1, 64) == (
        "run 67 (to be reset after pixel 7), after a reset 123 cycles after start"
    )
    assert label(found, 2) == "run 0, after a reset after pixel 7"


def test_the_bound_on_clock_cycles_counts_every_wait():
    frame = np.zeros(1, FRAME)
    frame["valid"], frame["listen"] = 1, 1  # one cycle in 64
    frame["pixel_stall"] = frame["result_stall"] = 500
    frame["delay"], frame["reset"] = 40, 5
    assert most_cycles(frame, PIXELS, RESULTS, WAITS) == (
        27 + 300 + 64 * 26 + 5 * 10 + 500 + 500 + 40 + 5
    )

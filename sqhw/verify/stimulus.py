"""The stimuli of the engine in a bench: stalls of both streams, signals out of turn, and resets.

A job is a list of frames. Each run of the network is one complete frame. Frames that end in a reset
at a random moment come before some of these. All benches take the same list.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sqhw.verify.waits import Waits


class Phase(IntEnum):
    """Phase of a frame in which it ends in a reset."""

    WHOLE = 0  #: no reset: the frame is complete
    BOOT = 1  #: after some cycles of waiting for `ready`
    READY = 2  #: after some cycles of `ready`, without a pixel
    PIXELS = 3  #: after some pixels
    START = 4  #: in the cycle of `start`
    RUN = 5  #: some cycles after `start`, at the latest in the cycle of `done`
    RESULTS = 6  #: after some results, some cycles later


#: Texts of a reset's moment for messages; `at` is a number of cycles.
MOMENTS = {
    Phase.BOOT: "{at} cycles into waiting for ready",
    Phase.READY: "{at} cycles after ready",
    Phase.PIXELS: "after pixel {at}",
    Phase.START: "with start",
    Phase.RUN: "{at} cycles after start",
    Phase.RESULTS: "after result {at}",
}
#: Record of a frame, as all benches read it. `valid` and `listen` are patterns of 64 cycles that
#: repeat: bit by bit, whether a pixel is offered and whether `out_ready` is high.
FRAME = np.dtype(
    [
        ("valid", "<u8"),
        ("listen", "<u8"),
        ("run", "<u4"),  # run whose pixels go in
        ("phase", "<u4"),  # a `Phase`
        ("at", "<u4"),  # cycles, pixels or results of that phase before the reset
        ("after", "<u4"),  # cycles after that result
        ("reset", "<u4"),  # cycles of the reset
        ("early", "<u4"),  # cycles of waiting for `ready` in which `start` and `in_valid` are high
        ("pixel_stall_at", "<u4"),  # pixel before which the stream rests for long
        ("pixel_stall", "<u4"),  # cycles of that
        ("delay", "<u4"),  # cycles from the last pixel to `start`
        ("busy_from", "<u4"),  # cycles after `start` from which it and `in_valid` are high again
        ("busy_to", "<u4"),  # cycles after `start` until which they are
        ("held", "<u4"),  # 1: both stay high until the last result is taken
        ("result_stall_at", "<u4"),  # results after which nobody listens for long
        ("result_stall", "<u4"),  # cycles of that
    ]
)
#: Length of a pattern (unit: cycle).
PATTERN = FRAME["valid"].itemsize * 8
ALWAYS = 0xFFFF_FFFF_FFFF_FFFF
ALTERNATE = 0x5555_5555_5555_5555
#: Pattern in which one cycle in eight is high.
SELDOM = 0x0101_0101_0101_0101
LONG_STALLS = (0, 0, 100, 500)
#: Longest reset of a job (unit: cycle): 3 us at 66 MHz, as an iCE40 needs it after power-up.
LONG_RESET = 200


def stimulus(
    seed: int | Sequence[int], runs: int, pixels: int, results: int, waits: Waits
) -> npt.NDArray[np.void]:
    """Return the frames of a job.

    Parameters
    ----------
    seed : int or sequence of int
    runs : int, 1 or more
        Number of complete frames, in order.
    pixels, results : int
        Bytes of a run.
    waits : Waits

    Returns
    -------
    ndarray of `FRAME`, shape (frames,)
    """
    noise = np.random.default_rng(seed)
    before: list[list[npt.NDArray[np.void]]] = [[] for _ in range(runs)]
    resets = _resets(noise, runs, pixels, results, waits)
    longest = noise.integers(len(resets))
    for number, (phase, at, stalled) in enumerate(resets):
        frame = _frame(noise, int(noise.integers(runs)), pixels, results, waits)
        frame["phase"], frame["at"] = phase, at
        frame["after"] = noise.integers(waits.result + 1)
        if stalled:  # a result waits, and nobody takes it
            frame["after"] = waits.result
            frame["result_stall_at"], frame["result_stall"] = at, max(LONG_STALLS)
        if number == longest:
            frame["reset"] = LONG_RESET
        before[noise.integers(runs)].append(frame)
    frames = []
    for run, interrupted in enumerate(before):
        frames += [*interrupted, _frame(noise, run, pixels, results, waits)]
    return np.stack(frames)


def sweep(seed: int, pixels: int, results: int, waits: Waits) -> npt.NDArray[np.void]:
    """Return the frames of a job with a reset of one cycle at each moment, a whole frame after it.

    The moments are each cycle until `ready`, after each pixel, with `start`, each cycle of the run,
    and each cycle between two results. The job is for small networks, because its time grows with
    the square of the run's.

    Parameters
    ----------
    seed : int
    pixels, results : int
        Bytes of a run.
    waits : Waits

    Returns
    -------
    ndarray of `FRAME`, shape (frames,)
        The whole frames are runs 0, 1 and so on.
    """
    moments = [
        *((Phase.BOOT, at, 0) for at in range(waits.ready)),
        *((Phase.PIXELS, at, 0) for at in range(1, pixels + 1)),
        (Phase.START, 0, 0),
        *((Phase.RUN, at, 0) for at in range(1, waits.run + 1)),
        *((Phase.RESULTS, at, n) for at in range(results) for n in range(waits.result + 1)),
    ]
    noise = np.random.default_rng(seed)
    frames = np.zeros(2 * len(moments), FRAME)
    frames["run"] = np.arange(len(frames)) // 2
    frames["valid"], frames["reset"] = ALWAYS, 1
    frames["listen"] = [_pattern(noise, 0.7) for _ in range(len(frames))]
    for frame, moment in zip(frames[::2], moments, strict=True):
        frame["phase"], frame["at"], frame["after"] = moment
    return frames


def reset_count(frames: npt.NDArray[np.void]) -> int:
    """Return the number of frames of a job that end in a reset."""
    return int((frames["phase"] != Phase.WHOLE).sum())


def label(frames: npt.NDArray[np.void], index: int, first: int = 0) -> str:
    """Return the name, in messages, of a frame of a job whose first run has the number `first`."""
    name = f"run {first + int(frames[index]['run'])}"
    if frames[index]["phase"] != Phase.WHOLE:
        name += f" (to be reset {_moment(frames[index])})"
    if index and frames[index - 1]["phase"] != Phase.WHOLE:
        name += f", after a reset {_moment(frames[index - 1])}"
    return name


def most_cycles(frames: npt.NDArray[np.void], pixels: int, results: int, waits: Waits) -> int:
    """Return a bound on the clock cycles of a job that does not fail."""
    seldom = PATTERN  # a pattern is high in one cycle at least
    longest = waits.ready + waits.run + seldom * (pixels + results) + waits.result * results
    stalls = ("pixel_stall", "delay", "result_stall", "reset")
    return len(frames) * longest + sum(int(frames[name].sum()) for name in stalls)


def _moment(frame: npt.NDArray[np.void]) -> str:
    return MOMENTS[Phase(int(frame["phase"]))].format(at=int(frame["at"]))


def _resets(
    noise: np.random.Generator, runs: int, pixels: int, results: int, waits: Waits
) -> list[tuple[Phase, int, bool]]:
    """Return phase and moment of each reset, and whether a result must wait then.

    Few resets come so late that they cost a whole run. Each job has one reset in the cycle of
    `done` or in the cycle before it, and one while a result waits.
    """
    some, few = -(-runs // 8), runs // 24

    def moments(phase: Phase, count: int, first: int, last: int) -> list[tuple[Phase, int, bool]]:
        at = noise.integers(first, last + 1, size=count).tolist()
        return [(phase, moment, False) for moment in at]

    between = moments(Phase.BOOT, some, 0, waits.ready - 1)
    between += moments(Phase.READY, some, 0, 5) + moments(Phase.START, some, 0, 0)
    noise.shuffle(between)
    return [
        *moments(Phase.PIXELS, some, 1, pixels),
        *moments(Phase.RUN, -(-runs // 6), 1, waits.run),
        *moments(Phase.RUN, 1 + few, waits.run - 1, waits.run),
        (Phase.RESULTS, int(noise.integers(results)), True),
        *moments(Phase.RESULTS, -(-runs // 16), 0, results - 1),
        *between[:some],
    ]


def _frame(
    noise: np.random.Generator, run: int, pixels: int, results: int, waits: Waits
) -> npt.NDArray[np.void]:
    """Return a complete frame."""
    frame = np.zeros((), FRAME)
    frame["run"] = run
    frame["valid"] = _pattern(noise, 0.9)
    frame["listen"] = _pattern(noise, 0.7)
    frame["reset"] = noise.choice([1, 1, 2, 5])
    frame["early"] = noise.integers(2) * noise.integers(waits.ready // 2 + 1)
    frame["pixel_stall_at"] = noise.integers(pixels)
    frame["pixel_stall"] = noise.choice(LONG_STALLS)
    frame["delay"] = noise.choice([0, 0, 1, 2, 10, 40])
    frame["busy_from"] = noise.integers(1, 31)
    frame["busy_to"] = frame["busy_from"] + noise.integers(1, 4)
    frame["held"] = noise.random() < 0.2
    frame["result_stall_at"] = noise.integers(2) * noise.integers(results)
    frame["result_stall"] = noise.choice(LONG_STALLS)
    return frame


def _pattern(noise: np.random.Generator, share: float) -> np.uint64:
    """Return the cycles of 64 in which a stream moves: a `share` of them, or a special pattern."""
    high = np.flatnonzero(noise.random(PATTERN) < share).tolist() or [0]
    mixed = sum(1 << at for at in high)
    kinds = (mixed, mixed, mixed, mixed, ALWAYS, ALWAYS, ALTERNATE, SELDOM)
    return np.uint64(kinds[int(noise.integers(len(kinds)))])

"""The cycles of frames in flight on an engine of several cores. No tolerance: RTL takes these."""

from dataclasses import dataclass

from sqhw.cost_models.schedule import BETWEEN_FRAMES, frame_bytes
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.network.graph import Graph, GraphConv


@dataclass(frozen=True)
class FrameTimes:
    """Cycles of the frames of a stream whose bytes never wait, neither pixels nor results.

    Parameters
    ----------
    cores : int
    pixels, results : int
        Bytes of a frame, of all images of a run.
    run : int
        Cycles from `start` to `done`.
    each_result : int
        Cycles from `done`, or from a result, to the next one.
    between : int
        Cycles from the last result of a frame to the first pixel of the next one on that core.
    """

    cores: int
    pixels: int
    results: int
    run: int
    each_result: int
    between: int

    @classmethod
    def of(
        cls, network: Graph[GraphConv], engine: EngineConfig, cycles: int, batch: int = 1
    ) -> "FrameTimes":
        """Return the times of a network on an engine.

        Parameters
        ----------
        network : Graph
        engine : EngineConfig
        cycles : int
            Cycles of a run, from `start` to `done`.
        batch : int
            Images of a run.
        """
        pixels, results = frame_bytes(network)
        timing = Timing.of(engine)
        return cls(
            cores=engine.cores,
            pixels=pixels * batch,
            results=results * batch,
            run=cycles,
            each_result=timing.output + 1,
            between=timing.load + BETWEEN_FRAMES,
        )

    @property
    def alone(self) -> int:
        """Cycles from the first pixel of a frame to that of the next one on the same core."""
        return self.pixels + self.run + self.each_result * self.results + self.between

    @property
    def sending(self) -> int:
        """Cycles that a frame takes of the stream of pixels: one each, and `start`."""
        return self.pixels + 1

    @property
    def receiving(self) -> int:
        """Cycles that a frame takes of the stream of results, if its first one waits."""
        return self.each_result * (self.results - 1) + 1

    @property
    def interval(self) -> float:
        """Mean cycles between two frames, after the first ones.

        Frames go in a circle of dependencies of each core and of each stream. The slowest circle
        sets the pace; one core has its own alone.
        """
        return max(self.alone / self.cores, self.sending, self.receiving)

    def last_results(self, frames: int) -> list[int]:
        """Return the cycle of the last result of each frame, from the first pixel on.

        Parameters
        ----------
        frames : int
            Number of frames, which come one after the other.
        """
        ready = [0] * self.cores
        sent = taken = 0  # cycles in which the next frame can use the streams
        ends = []
        for frame in range(frames):
            core = frame % self.cores
            start = max(sent, ready[core]) + self.pixels
            sent = start + 1
            first = max(taken, start + self.run + self.each_result)
            end = first + self.receiving - 1
            taken = end + 1
            ready[core] = end + self.between
            ends.append(end)
        return ends

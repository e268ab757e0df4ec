"""The job of a bench: the inputs of the engine, and its expected outputs and their cycles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.compiler.program import Program
from sqhw.cost_models.schedule import BETWEEN_FRAMES, schedule
from sqhw.errors import SqhwError
from sqhw.export.manifest import check_same_pieces
from sqhw.machine.rom_pieces import Piece
from sqhw.machine.timing import Timing
from sqhw.network.graph import INPUT
from sqhw.sim.simulator import Simulator
from sqhw.verify.expected import writeback
from sqhw.verify.waits import Waits


@dataclass(frozen=True)
class Job:
    """The runs of a bench.

    Parameters
    ----------
    pixels, results : ndarray of uint8, shape (runs, bytes)
        Inputs and expected outputs, in the order of the streams.
    writeback : ndarray of int16, shape (runs, bytes)
        Expected bytes to the activation memory; see `sqhw.verify.expected`.
    batch : int
        Images of a run.
    cycles : int
        Cycles from `start` to `done`.
    waits : Waits
    """

    pixels: npt.NDArray[np.uint8]
    results: npt.NDArray[np.uint8]
    writeback: npt.NDArray[np.int16]
    batch: int
    cycles: int
    waits: Waits

    @property
    def sizes(self) -> tuple[int, int]:
        """Pixels and results of a run (unit: byte)."""
        return self.pixels.shape[1], self.results.shape[1]


def check_job(
    program: Program, images: npt.NDArray[Any], rtl: Path, roms: Path
) -> dict[str, tuple[Piece, ...]]:
    """Check that images, ROM images and Verilog suit a program; return the pieces of the ROMs.

    Raises
    ------
    SqhwError
        If they do not; the message names the number or the folder.
    """
    if len(images) == 0:
        raise SqhwError("there is no image to run; give at least one")
    if len(images) % program.batch:
        raise SqhwError(
            f"the program runs {program.batch} images at a time; {len(images)} is no multiple"
        )
    return check_same_pieces(rtl, roms, program.engine)


def job_of(program: Program, images: npt.NDArray[Any]) -> Job:
    """Return the job of some images, from the simulator and the schedule.

    Parameters
    ----------
    program : Program
    images : ndarray of int, shape (images, channels, height, width)
        A multiple of the program's batch.
    """
    tensors = Simulator(program.network).run(images)
    last = program.network.layers[-1].name
    batch = program.batch
    streams = [
        writeback(
            program.tilings,
            {name: tensor[start : start + batch] for name, tensor in tensors.items()},
        )
        for start in range(0, len(images), batch)
    ]
    timing = Timing.of(program.engine)
    cycles = schedule(program.network, program.engine, batch).cycles
    return Job(
        pixels=_in_stream_order(tensors[INPUT], batch),
        writeback=np.stack(streams),
        results=_in_stream_order(tensors[last], batch),
        batch=batch,
        cycles=cycles,
        waits=Waits(ready=timing.load + BETWEEN_FRAMES, run=cycles, result=timing.output),
    )


def _in_stream_order(maps: npt.NDArray[Any], batch: int) -> npt.NDArray[np.uint8]:
    """Return maps (n, c, h, w) as bytes (n / batch, batch * h * w * c), pixel by pixel."""
    runs = maps.transpose(0, 2, 3, 1).reshape(len(maps) // batch, -1)
    return runs.astype(np.int64).astype(np.uint8)  # two's complement

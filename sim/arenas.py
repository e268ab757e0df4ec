"""Plans at work: memory for activations, images in, layers, tensors out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.network.graph import INPUT
from sqhw.sim import kernels
from sqhw.sim.layout import ALIGNMENT
from sqhw.sim.plan import Plan
from sqhw.sim.plan_layout import BLOCK_FIELDS, OP_FIELDS

Bytes = npt.NDArray[np.uint8]


class Runner:
    """A plan, and the arenas of the threads that run it.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._arenas: dict[int, Bytes] = {}

    @contextmanager
    def arena(self) -> Iterator[Bytes]:
        """Lend memory for the activations of `plan.images` images; its paddings are 0.

        A thread gets the memory that it had before, which is still in the caches of its core.
        """
        thread = get_ident()
        memory = self._arenas.pop(thread, None)
        if memory is None:
            try:
                memory = self._arenas.popitem()[1]
            except KeyError:
                memory = _aligned(self.plan.arena_bytes)
        yield memory
        self._arenas[thread] = memory

    def run(
        self,
        arena: Bytes,
        images: npt.NDArray[Any],
        results: Mapping[str, npt.NDArray[np.int32]],
    ) -> None:
        """Write tensors of at most `plan.images` images into `results`.

        Parameters
        ----------
        arena : ndarray of uint8
        images : ndarray of uint8 or int32, shape (images, channels, height, width)
        results : mapping of str to ndarray of int32, shape (images, channels, height, width)
        """
        plan = self.plan
        self.load(arena, images)
        groups = -(-len(images) // plan.layouts[INPUT].lanes)
        kernels.run(plan.content, plan.operations, plan.split, arena, groups)
        for name, maps in results.items():
            self.read(arena, name, maps)

    def load(self, arena: Bytes, images: npt.NDArray[Any]) -> None:
        """Write images into an arena."""
        kernels.pack(images, arena, self.plan.offsets[INPUT], self.plan.layouts[INPUT])

    def step(self, arena: Bytes, name: str) -> None:
        """Run one layer on one group of images."""
        steps = self.plan.steps[name]
        operations = self.plan.operations[steps.start : steps.stop]
        kernels.run(self.plan.content, operations, len(operations), arena, 1)

    def read(self, arena: Bytes, name: str, maps: npt.NDArray[np.int32]) -> None:
        """Read a tensor from an arena."""
        kernels.unpack(arena, self.plan.offsets[name], self.plan.layouts[name], maps)

    def read_sums(self, arena: Bytes, name: str, maps: npt.NDArray[np.int32]) -> None:
        """Read the sums of a layer that ran last, on one group of images and not requantized."""
        layout = self.plan.layouts[name]
        operation = self.plan.operations[self.plan.steps[name].stop - 1]
        fields = dict(zip(OP_FIELDS, map(int, operation), strict=True))
        segments = -(-fields["segments"] // fields["block_segments"]) * fields["block_segments"]
        lines = _part(self.plan.content, fields["blocks"], (segments, len(BLOCK_FIELDS)), np.int64)
        rows, rest = np.divmod(lines[:, BLOCK_FIELDS.index("y")], layout.row)
        columns = fields["segment_columns"]
        across = rest[:, None] // layout.column + np.arange(columns)
        shape = (layout.shape[0], segments, columns, layout.lanes)
        sums = _part(arena, fields["sums"], shape, np.int32)
        top, _, left, _ = layout.padding
        images = np.moveaxis(sums, 3, 0)[: len(maps)]
        maps[:, :, rows[:, None] - top, across - left] = images


def _part(memory: Bytes, start: int, shape: tuple[int, ...], kind: type) -> npt.NDArray[Any]:
    """Return a part of memory as an array."""
    end = start + prod(shape) * np.dtype(kind).itemsize
    return memory[start:end].view(kind).reshape(shape)


def _aligned(size: int) -> Bytes:
    """Return zeroed memory whose address is a multiple of the alignment.

    Raises
    ------
    SqhwError
        If there is not as much.
    """
    try:
        memory = np.zeros(size + ALIGNMENT, np.uint8)
    except MemoryError:
        raise SqhwError(
            f"the feature maps of {kernels.LANES} images with their padding take "
            f"{size / 1e6:,.0f} MB, more than this machine has; use a network of smaller maps"
        ) from None
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]

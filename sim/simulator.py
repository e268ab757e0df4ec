"""The bit-accurate simulator: equal to the reference, and the fastest way to run a network."""

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from math import prod
from threading import Lock, get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import kernels
from sqhw.sim.arenas import Runner
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.threads import share

Int32 = npt.NDArray[np.int32]


def check_range(network: QuantizedNetwork) -> None:
    """Check that no accumulator can leave int32, in which the simulator sums.

    Raises
    ------
    SqhwError
        Naming the layer, its static bound and the limit.
    """
    for name, bound in network.acc_bounds().items():
        if bound >= 1 << 31:
            raise SqhwError(
                f"layer {name!r}: its accumulator may reach {bound}, "
                "more than 32 bits hold; use fewer weights or smaller codebook values"
            )


def default_threads() -> int:
    """Return the number of threads that the environment or the machine suggests."""
    given = os.environ.get("NUMBA_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Simulator:
    """Runs any number of images through a quantized network.

    The network is prepared at the first call. A thread needs `memory` bytes at a time, whatever
    the number of images.

    Parameters
    ----------
    network : QuantizedNetwork
    threads : int, 1 or more, optional
        Number of threads; by default ``NUMBA_NUM_THREADS`` if it is set, as for the parts of
        this package that Numba compiles, else the number of cores.

    Raises
    ------
    SqhwError
        If an accumulator could leave int32, or `threads` is no such number.
    """

    def __init__(self, network: QuantizedNetwork, threads: int | None = None) -> None:
        check_range(network)
        self.network = network
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise SqhwError(f"threads must be a whole number from 1 on, not {threads!r}")
        self.threads = threads or default_threads()
        self._shapes = network.shapes()
        self._last = network.layers[-1].name

    @cached_property
    def runner(self) -> Runner:
        """The plan of `logits`, and memory for it."""
        return Runner(prepare(self.network, Choice(kernels.SHAPE)))

    @cached_property
    def _keeper(self) -> Runner:
        return Runner(prepare(self.network, Choice(kernels.SHAPE, keep=True)))

    @property
    def memory(self) -> int:
        """Memory for the activations of a thread in `logits` (unit: byte)."""
        return self.runner.plan.arena_bytes

    def run(self, images: npt.NDArray[Any]) -> dict[str, Int32]:
        """Run a batch and keep every tensor.

        Parameters
        ----------
        images : ndarray of int, shape (images, channels, height, width)
            Raw pixels within the network's input format.

        Returns
        -------
        dict of str to ndarray of int32
            Every tensor by name, shape (images, channels, height, width), the input included.

        Raises
        ------
        SqhwError
            If the images have another shape, type or range than the network takes.
        """
        images = self._checked(images)  # all of them, before memory is taken
        tensors = {
            name: np.empty((len(images), *shape), np.int32) for name, shape in self._shapes.items()
        }
        self._run(self._keeper, images, tensors)
        return tensors

    def logits(
        self,
        images: npt.NDArray[Any],
        batch: int = 256,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Int32:
        """Return the network's outputs, shape (images, channels * height * width).

        Parameters
        ----------
        images : ndarray of int, shape (images, channels, height, width)
            Raw pixels within the network's input format.
        batch : int
            Least number of images from one call of `progress` to the next; no result depends on it.
        progress : callable
            Called with the number of images done, the last time with that of all images.

        Raises
        ------
        SqhwError
            If the images have another shape, type or range than the network takes.
        """
        images = self._array(images)
        outputs = np.empty((len(images), *self._shapes[self._last]), np.int32)
        self._run(self.runner, images, {self._last: outputs}, _Report(progress, batch))
        return outputs.reshape(len(outputs), prod(outputs.shape[1:]))

    def predict(self, images: npt.NDArray[Any], batch: int = 256) -> npt.NDArray[np.int64]:
        """Return the class of each image, the index of its first largest output.

        Parameters
        ----------
        images : ndarray of int, shape (images, channels, height, width)
        batch : int

        Returns
        -------
        ndarray of int64, shape (images,)

        Raises
        ------
        SqhwError
            As `logits`.
        """
        classes: npt.NDArray[np.int64] = np.argmax(self.logits(images, batch), axis=1)
        return classes

    def _array(self, images: Any) -> npt.NDArray[Any]:
        """Return images as an array of the network's shape; their values are not looked at."""
        name, shape = self.network.name, self.network.input_shape
        try:
            found: npt.NDArray[Any] = np.asarray(images)
        except ValueError:
            raise SqhwError(
                f"network {name!r} takes images of shape {shape}, found lists of different lengths"
            ) from None
        if found.ndim != 4:
            raise SqhwError(
                f"network {name!r} takes an array of four dimensions, images of shape {shape}; "
                f"found one of shape {found.shape}"
            )
        if found.shape[1:] != shape:
            raise SqhwError(
                f"network {name!r} takes images of shape {shape}, not {found.shape[1:]}"
            )
        return found

    def _checked(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return images of the network's shape and range, uint8 or int32."""
        name, form = self.network.name, self.network.input_format
        images = self._array(images)
        if images.dtype.kind not in "iub":
            raise SqhwError(
                f"network {name!r} takes pixels that are integers, found {images.dtype}; "
                "round them first"
            )
        whole_range = images.dtype == np.uint8 and form.lo == 0 and form.hi == 255
        if images.size and not whole_range and (images.min() < form.lo or images.max() > form.hi):
            raise SqhwError(
                f"network {name!r} takes pixels of {form.lo} to {form.hi}, "
                f"found {images.min()} to {images.max()}"
            )
        return np.ascontiguousarray(
            images, dtype=np.uint8 if images.dtype == np.uint8 else np.int32
        )

    def _run(
        self,
        runner: Runner,
        images: npt.NDArray[Any],
        results: dict[str, Int32],
        report: "_Report | None" = None,
    ) -> None:
        """Write the tensors of images into `results`, by as many threads as are of use."""
        parts = _parts(len(images), kernels.LANES, runner.plan.images, self.threads)
        self._checked(images[:0])

        def work(parts: Iterable[slice]) -> None:
            with runner.arena() as arena:
                for part in parts:
                    found = {name: tensor[part] for name, tensor in results.items()}
                    runner.run(arena, self._checked(images[part]), found)
                    if report is not None:
                        report.add(part.stop - part.start)

        share(parts, self.threads, work)
        if report is not None:
            report.end()


class _Report:
    """Tells the caller of `logits`, on its own thread only, how many images are done."""

    def __init__(self, progress: Callable[[int], None], batch: int) -> None:
        self.progress, self.batch = progress, batch
        self.done = self.told = 0
        self.thread, self.lock = get_ident(), Lock()

    def add(self, images: int) -> None:
        """Count images, and tell of them if there are enough."""
        with self.lock:
            self.done += images
        if self.thread == get_ident() and self.done >= self.told + self.batch:
            self._tell()

    def end(self) -> None:
        """Tell of images that were not told of."""
        if self.done > self.told:
            self._tell()

    def _tell(self) -> None:
        self.told = self.done
        self.progress(self.told)


def _parts(images: int, lanes: int, most: int, threads: int) -> list[slice]:
    """Return the parts of a run: whole vectors, at most `most` images each, alike in size.

    Their number is a multiple of that of the threads where there are enough images.
    """
    number = -(-images // (most * threads)) * threads
    size = max(1, -(-images // (max(1, number) * lanes))) * lanes
    return [slice(start, min(images, start + size)) for start in range(0, images, size)]

"""The bit-accurate simulator: equal to the reference, and the fastest way to run a network."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import kernels
from sqhw.sim.arenas import Runner
from sqhw.sim.plan import Choice, prepare

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
    threads : int, optional
        Number of threads; by default ``NUMBA_NUM_THREADS`` if it is set, as for the parts of
        this package that Numba compiles, else the number of cores.

    Raises
    ------
    SqhwError
        If an accumulator could leave int32.
    """

    def __init__(self, network: QuantizedNetwork, threads: int | None = None) -> None:
        check_range(network)
        self.network = network
        self.threads = threads or default_threads()
        self._shapes = network.shapes()
        self._last = network.layers[-1].name

    @cached_property
    def runner(self) -> Runner:
        """The plan of `logits`, and memory for it."""
        return Runner(prepare(self.network, Choice(kernels.LANES)))

    @cached_property
    def _keeper(self) -> Runner:
        return Runner(prepare(self.network, Choice(kernels.LANES, keep=True)))

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
        images = self._checked(images)
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
            Images from one call of `progress` to the next; no result depends on it.
        progress : callable
            Called with the number of images done after every batch.

        Raises
        ------
        SqhwError
            If the images have another shape, type or range than the network takes.
        """
        outputs = np.empty((len(images), *self._shapes[self._last]), np.int32)
        for start in range(0, len(images), batch):
            part = self._checked(images[start : start + batch])
            results = {self._last: outputs[start : start + batch]}
            self._run(self.runner, part, results)
            progress(start + len(part))
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

    def _checked(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return images of the network's shape and range, uint8 or int32."""
        name, form, shape = self.network.name, self.network.input_format, self.network.input_shape
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != shape:
            raise SqhwError(
                f"network {name!r} takes images of shape {shape}, not {images.shape[1:]}"
            )
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

    def _run(self, runner: Runner, images: npt.NDArray[Any], results: dict[str, Int32]) -> None:
        """Write the tensors of some images into `results`, by as many threads as are of use."""
        lanes = kernels.LANES
        share = -(-len(images) // (self.threads * lanes)) * lanes
        step = max(lanes, min(runner.plan.images, share))
        starts = range(0, len(images), step)

        def part(start: int) -> None:
            end = start + step
            found = {name: tensor[start:end] for name, tensor in results.items()}
            runner.run(images[start:end], found)

        if self.threads == 1 or len(starts) < 2:
            for start in starts:
                part(start)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(part, starts))

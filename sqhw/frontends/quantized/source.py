"""A quantized model as its runtime computes it: kernels, and all tensors of some images."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.folding.float_walk import normalised
from sqhw.frontends.neutral import Graph
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.quantized.kernels import Kernels, RealKernels
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.tflite.arithmetic import ReferenceKernels
from sqhw.frontends.tflite.running import run_integers

Integers = npt.NDArray[np.int64]


class Source:
    """The arithmetic that an import is fitted to, and compared with.

    A TensorFlow Lite file has its reference kernels. Other graphs are real numbers in double
    precision that are rounded to each tensor's grid.

    Parameters
    ----------
    graph : Graph
    pixels : Pixels
    """

    def __init__(self, graph: Graph, pixels: Pixels) -> None:
        self._pixels = pixels
        self._integers = graph.source == "tflite" and all(
            graph.tensors[operator.output].quantization for operator in graph.operators
        )
        self.kernels: Kernels = ReferenceKernels() if self._integers else RealKernels()

    def run(self, graph: Graph, images: npt.NDArray[Any]) -> dict[str, Integers]:
        """Return the integers of every quantized tensor.

        Parameters
        ----------
        graph : Graph
            The graph, or what `lower` made of it.
        images : ndarray of uint8, shape (n, channels, height, width)
            Pixels.
        """
        grid = graph.tensors[graph.input].quantization
        if grid is not None:
            whole = images.astype(np.int64) + grid.lo
            x: npt.NDArray[Any] = whole if self._integers else grid.reals(whole)
        else:
            pixels = self._pixels
            x = normalised(images, pixels.input_max, pixels.mean, pixels.std)
        if self._integers:
            found = run_integers(graph, x)
            return {name: values.astype(np.int64) for name, values in found.items()}
        grids = {name: tensor.quantization for name, tensor in graph.tensors.items()}
        return {
            name: np.rint(values / float(own.scale) + int(own.zero_point)).astype(np.int64)
            for name, values in evaluate(graph, x).items()
            if (own := grids[name]) is not None and own.axis is None
        }

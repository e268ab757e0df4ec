"""The bit-accurate simulator: equal to the reference, fast enough for whole test sets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.machine.stream import channel_order
from sqhw.network.graph import INPUT, MaxPool, Shape
from sqhw.network.limits import images_at_once
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim import kernels

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


class Simulator:
    """Runs batches of images through a quantized network.

    Parameters
    ----------
    network : QuantizedNetwork

    Raises
    ------
    SqhwError
        If an accumulator could leave int32.
    """

    def __init__(self, network: QuantizedNetwork) -> None:
        check_range(network)
        self.network = network
        self._sparse = {layer.name: _sparse(layer) for layer in network.convs}

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
            If the images have another shape or range than the network takes.
        """
        fmt = self.network.input_format
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != self.network.input_shape:
            raise SqhwError(
                f"network {self.network.name!r} takes images of shape "
                f"{self.network.input_shape}, not {images.shape[1:]}"
            )
        if images.size and (images.min() < fmt.lo or images.max() > fmt.hi):
            raise SqhwError(
                f"network {self.network.name!r} takes pixels of {fmt.lo} to {fmt.hi}, "
                f"found {images.min()} to {images.max()}"
            )
        tensors: dict[str, Int32] = {INPUT: np.ascontiguousarray(images, dtype=np.int32)}
        shapes = self.network.shapes()
        for layer in self.network.layers:
            x = tensors[layer.source]
            y = np.empty((len(images), *shapes[layer.name]), dtype=np.int32)
            if isinstance(layer, Conv):
                top, bottom, left, right = layer.padding
                padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
                starts, ys, xs, channels, weights = self._sparse[layer.name]
                kernels.conv(
                    padded,
                    starts,
                    ys,
                    xs,
                    channels,
                    weights,
                    _preload(layer, tensors, shapes[layer.name]),
                    layer.multiplier.astype(np.int64),
                    layer.shift.astype(np.int64),
                    layer.stride,
                    layer.output.lo,
                    layer.output.hi,
                    y,
                )
            elif isinstance(layer, MaxPool):
                kernels.maxpool(x, layer.kernel, layer.stride, y)
            tensors[layer.name] = y
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
        batch : int
            Most images at a time, fewer if their maps are large; no result depends on it.
        progress : callable
            Called with the number of images done after every batch.
        """
        last = self.network.layers[-1].name
        batch = images_at_once(self.network.shapes(), batch)
        parts = []
        for start in range(0, len(images), batch):
            part = self.run(images[start : start + batch])[last]
            parts.append(part.reshape(len(part), -1))
            progress(min(start + batch, len(images)))
        width = int(np.prod(self.network.shapes()[last]))
        return np.concatenate(parts) if parts else np.empty((0, width), dtype=np.int32)


def _preload(layer: Conv, tensors: dict[str, Int32], shape: Shape) -> Int32:
    """Return what the accumulators begin with: the bias and the residual."""
    bias = layer.bias.astype(np.int32).reshape(1, -1, 1, 1)
    if layer.residual is None:
        return bias
    skip = tensors[layer.residual.source]
    step, first = layer.residual.stride, layer.residual.first
    preload = np.broadcast_to(bias, (len(skip), *shape)).copy()
    preload[:, first : first + skip.shape[1]] += layer.residual.weight * skip[:, :, ::step, ::step]
    return preload


def _sparse(layer: Conv) -> tuple[npt.NDArray[Any], ...]:
    """Return (starts, kernel rows, kernel columns, channels, weights) of the non-zeros."""
    flat = channel_order(layer.weight)
    outputs, positions = np.nonzero(flat)
    starts = np.searchsorted(outputs, np.arange(flat.shape[0] + 1)).astype(np.int64)
    in_channels, (_, kw) = layer.weight.shape[1], layer.kernel
    tap, channel = np.divmod(positions, in_channels)
    channel = channel + outputs // (flat.shape[0] // layer.groups) * in_channels
    ys, xs = np.divmod(tap, kw)
    return (
        starts,
        ys.astype(np.int32),
        xs.astype(np.int32),
        channel.astype(np.int32),
        flat[outputs, positions].astype(np.int32),
    )

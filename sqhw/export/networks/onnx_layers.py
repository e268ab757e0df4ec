"""The walk through a network that makes an ONNX file; formats say how integers are spelled."""

from abc import ABC, abstractmethod
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.export.networks.onnx_parts import SOURCE, Parts
from sqhw.machine.number import ActivationFormat
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

#: Largest magnitude up to which float32 holds every integer.
EXACT_FLOATS = 1 << 24


def ratios(layer: Conv) -> npt.NDArray[np.float64]:
    """Return ``multiplier / 2**shift`` of each channel; float32 holds it exactly."""
    return np.ldexp(layer.multiplier.astype(np.float64), -layer.shift)


class OnnxFormat(ABC):
    """A spelling of integers in ONNX. All maps hold the engine's integers, whatever their type.

    Attributes
    ----------
    domain : str
        Domain of its own operators, if it has some.
    """

    domain = ""

    def __init__(self, parts: Parts, network: QuantizedNetwork) -> None:
        self.parts, self.network = parts, network
        self._shapes, self._formats = network.shapes(), network.formats()
        self._flat = _flat_layers(network)

    @abstractmethod
    def pixels(self) -> type[np.generic]:
        """Return the type of the input's elements."""

    @abstractmethod
    def opened(self, source: str) -> str:
        """Return the value that layers read of the file's input."""

    @abstractmethod
    def weighted(self, layer: Conv, x: str, skip: str | None) -> str:
        """Add a convolution, and return its output's value.

        Parameters
        ----------
        layer : Conv
        x : str
            Value that it reads.
        skip : str, optional
            Value that its skip connection adds, of its own shape.
        """

    def pooled(self, value: str, form: ActivationFormat, name: str) -> str:
        """Return the value that layers read of a pooling maximum."""
        return value

    def write(self) -> bytes:
        """Return the file."""
        values = {INPUT: self.opened(SOURCE)}
        for layer in self.network.layers:
            x = values[layer.source]
            if isinstance(layer, MaxPool):
                size, stride = list(layer.window), list(layer.strides)
                name = f"{layer.name}/maximum"
                top, bottom, left, right = layer.padding
                border: dict[str, Any] = {}
                if any(layer.padding):
                    border = {"pads": [top, left, bottom, right]}
                made = self.parts.node(
                    "MaxPool",
                    [x],
                    name,
                    kernel_shape=size,
                    strides=stride,
                    title=layer.name,
                    **border,
                )
                values[layer.name] = self.pooled(made, self._formats[layer.name], layer.name)
            else:
                skip = layer.residual
                other = None if skip is None else self._skip(layer, skip, values[skip.source])
                values[layer.name] = self._made(layer, x, other)
        self.parts.end("Flatten", [values[self.network.layers[-1].name]])
        scores = prod(self._shapes[self.network.layers[-1].name])
        shape = self.network.input_shape
        return self.parts.model(self.network.name, self.pixels(), shape, scores, self.domain)

    def _made(self, layer: Conv, x: str, skip: str | None) -> str:
        """Return the value of a convolution's output; a table is a Gather of its entries."""
        if not layer.table:
            return self.weighted(layer, x, skip)
        from onnx import TensorProto

        index = replace(layer, name=f"{layer.name}/index", output=layer.clamped, table=())
        if self.is_flat(layer):
            self._flat.add(index.name)
        made, name, parts = self.weighted(index, x, skip), layer.name, self.parts
        made = parts.node("Cast", [made], f"{name}/whole", to=int(TensorProto.INT64))
        lowest = parts.constant(f"{name}/lowest", -layer.clamped.lo, np.int64)
        made = parts.node("Add", [made, lowest], f"{name}/place")
        table = parts.constant(f"{name}/table", np.array(layer.table), np.float32)
        return parts.node("Gather", [table, made], name)

    def sums(
        self, layer: Conv, x: str, weight: str, bias: str | None = None, title: str | None = None
    ) -> str:
        """Add the Conv or Gemm of a layer, and return its value.

        Parameters
        ----------
        layer : Conv
        x : str
        weight : str
            Weights in the shape of `weights`.
        bias : str, optional
        title : str, optional
            Name of the node; by default that of the layer.
        """
        title = layer.name if title is None else title
        inputs = [x, weight] + ([] if bias is None else [bias])
        name = f"{layer.name}/sums"
        if layer.name in self._flat:
            if layer.source not in self._flat:
                inputs[0] = self.parts.node("Flatten", [x], f"{layer.name}/vector")
            return self.parts.node("Gemm", inputs, name, transB=1, title=title)
        top, bottom, left, right = layer.padding
        return self.parts.node(
            "Conv",
            inputs,
            name,
            kernel_shape=list(layer.kernel),
            strides=list(layer.strides),
            pads=[top, left, bottom, right],
            group=layer.groups,
            title=title,
        )

    def weights(self, layer: Conv) -> npt.NDArray[np.int8]:
        """Return a layer's weights, those of a Gemm in two axes."""
        return layer.weight.reshape(len(layer.weight), -1) if self.is_flat(layer) else layer.weight

    def is_flat(self, layer: Conv) -> bool:
        """Whether a layer is a Gemm."""
        return layer.name in self._flat

    def channels(self, layer: Conv, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return one number a channel in a shape that meets the layer's output."""
        return values if self.is_flat(layer) else values.reshape(1, -1, 1, 1)

    def _skip(self, layer: Conv, skip: Residual, x: str) -> str:
        """Return a skip connection's map with rows, columns and channels as the layer's output."""
        name = f"{layer.name}/skip"
        if skip.stride > 1:
            bounds = [
                self.parts.constant(f"{name}_{what}", numbers, np.int64)
                for what, numbers in (
                    ("starts", [0, 0]),
                    ("ends", [1 << 30, 1 << 30]),
                    ("axes", [2, 3]),
                    ("steps", [skip.stride] * 2),
                )
            ]
            x = self.parts.node("Slice", [x, *bounds], f"{name}_sliced")
        missing = layer.weight.shape[0] - self._shapes[skip.source][0]
        if missing:
            pads = [0, skip.first, 0, 0, 0, missing - skip.first, 0, 0]
            x = self.parts.node(
                "Pad", [x, self.parts.constant(f"{name}_pads", pads, np.int64)], f"{name}_padded"
            )
        return x


def _flat_layers(network: QuantizedNetwork) -> set[str]:
    """Return the names of layers that are a Gemm: fully connected ones whose readers are too."""
    shapes = network.shapes()
    flat: set[str] = set()
    for layer in reversed(network.layers):
        if isinstance(layer, MaxPool) or layer.kind != "linear" or layer.residual:
            continue
        whole = layer.kernel == shapes[layer.source][1:] and not any(layer.padding)
        read = {one.name for one in network.readers(layer.name)}
        skips = any(
            not isinstance(one, MaxPool) and one.residual and one.residual.source == layer.name
            for one in network.layers
        )
        if whole and layer.groups == 1 and read <= flat and not skips:
            flat.add(layer.name)
    return flat

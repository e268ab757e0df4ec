"""ONNX of standard operators that every runtime computes exactly: no rounding but the engine's."""

import numpy as np
import numpy.typing as npt

from sqhw.export.networks.onnx_layers import EXACT_FLOATS, OnnxFormat, ratios
from sqhw.export.networks.onnx_parts import Parts
from sqhw.network.quantized import Conv, QuantizedNetwork


class Exact(OnnxFormat):
    """Integers in float32 that hold them all, and requantization in double precision.

    Weights of a layer whose sums could exceed the integers of float32 are cut into digits, each a
    convolution of its own.
    """

    def pixels(self) -> type[np.generic]:
        """Return the type of the input's elements."""
        return np.int8 if self.network.input_format.signed else np.uint8

    def opened(self, source: str) -> str:
        """Return the value that layers read of the file's input."""
        return self.parts.node("Cast", [source], f"{source}/integers", to=_type(np.float32))

    def weighted(self, layer: Conv, x: str, skip: str | None) -> str:
        """Add a convolution, and return its output's value."""
        name = layer.name
        largest = self._formats[layer.source].max_abs
        made = self._double("bias", name, self.channels(layer, layer.bias.astype(np.float64)))
        for at, (factor, digit) in enumerate(digits(self.weights(layer), largest)):
            weight = self.parts.constant(f"{name}/weight_{at}", digit, np.float32)
            title = f"{name}/digit_{at}"
            part = self._cast(self.sums(layer, x, weight, title=title if at else name), title)
            made = self._sum(name, made, part, factor)
        if skip is not None and layer.residual is not None:
            made = self._sum(name, made, self._cast(skip, f"{name}/skip"), layer.residual.weight)
        half = np.where(layer.shift > 0, 0.5, 0.0)
        for kind, values in (("Mul", ratios(layer)), ("Add", half)):
            operand = self._double(kind, name, self.channels(layer, values))
            made = self.parts.node(kind, [made, operand], f"{name}/scaled")
        made = self.parts.node("Floor", [made], f"{name}/rounded")
        ends = [self._double(f"end_{end}", name, end) for end in (layer.output.lo, layer.output.hi)]
        made = self.parts.node("Clip", [made, *ends], f"{name}/clipped")
        return self.parts.node("Cast", [made], name, to=_type(np.float32))

    def _sum(self, name: str, total: str, part: str, factor: int) -> str:
        if factor != 1:
            operand = self._double("factor", name, factor)
            part = self.parts.node("Mul", [part, operand], f"{name}/weighted")
        return self.parts.node("Add", [total, part], f"{name}/total")

    def _double(self, what: str, name: str, values: npt.ArrayLike) -> str:
        return self.parts.constant(f"{name}/{what.lower()}", values, np.float64)

    def _cast(self, value: str, name: str) -> str:
        return self.parts.node("Cast", [value], f"{name}_double", to=_type(np.float64))


def digits(weight: npt.NDArray[np.int8], largest: int) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Return digits of weights with their factors, so that no sum exceeds the integers of float32.

    Parameters
    ----------
    weight : ndarray of int8, shape (outputs, ...)
    largest : int
        Largest magnitude of an activation.
    """
    values = weight.astype(np.int64)
    if _bound(values) * largest < EXACT_FLOATS:
        return [(1, values)]
    for width in (4, 2, 1):
        parts = []
        for at in range(0, 8, width):
            digit = values >> at
            if at + width < 8:  # the last digit has the sign
                digit = digit & ((1 << width) - 1)
            parts.append((1 << at, digit))
        if all(_bound(digit) * largest < EXACT_FLOATS for _, digit in parts):
            break
    return parts


def _bound(values: npt.NDArray[np.int64]) -> int:
    return int(np.abs(values).reshape(len(values), -1).sum(axis=1).max())


def _type(kind: type[np.generic]) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def exact_files(network: QuantizedNetwork, stem: str) -> dict[str, bytes]:
    """Return the file of standard operators of a network by its name."""
    return {f"{stem}_exact.onnx": Exact(Parts("exact"), network).write()}

"""QDQ: QuantizeLinear and DequantizeLinear around operators on real numbers."""

import numpy as np

from sqhw.export.networks.onnx_layers import OnnxFormat, ratios
from sqhw.export.networks.onnx_parts import Parts
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import Conv, QuantizedNetwork

#: Width of the integer types of QuantizeLinear (unit: bit).
MAX_BITS = 8


class Qdq(OnnxFormat):
    """QDQ as tools read it: scales of weights and biases a channel, one for a map, no zero points.

    The scale of every map is 1. That of a channel's weights is its requantization, which float32
    holds exactly. Widths below 8 bits are a Clip of the integers (QCDQ). A QuantizeLinear rounds
    halves to even, the engine rounds them up.
    """

    def pixels(self) -> type[np.generic]:
        """Return the type of the input's elements."""
        return np.int8 if self.network.input_format.signed else np.uint8

    def opened(self, source: str) -> str:
        """Return the value that layers read of the file's input."""
        return self._dequantized(source, source)

    def weighted(self, layer: Conv, x: str, skip: str | None) -> str:
        """Add a convolution, and return its output's value."""
        name, parts = layer.name, self.parts
        scale = parts.constant(f"{name}/scale", ratios(layer), np.float32)
        weight, bias = (
            parts.node(
                "DequantizeLinear",
                [parts.constant(f"{name}/{what}_integers", values, values.dtype), scale],
                f"{name}/{what}",
                axis=0,
            )
            for what, values in (("weight", self.weights(layer)), ("bias", layer.bias))
        )
        made = self.sums(layer, x, weight, bias)
        if skip is not None and layer.residual is not None:
            factors = self.channels(layer, layer.residual.weight * ratios(layer))
            factor = parts.constant(f"{name}/skip_scale", factors, np.float32)
            scaled = parts.node("Mul", [skip, factor], f"{name}/skip")
            made = parts.node("Add", [made, scaled], f"{name}/total")
        return self._quantized(made, layer.output, name)

    def pooled(self, value: str, form: ActivationFormat, name: str) -> str:
        """Return the value that layers read of a pooling maximum, which needs no rounding.

        With 8 bits it has quantizers around it nonetheless, by which tools tell integer operators.
        """
        return self._quantized(value, form, name) if form.bits == MAX_BITS else value

    def _quantized(self, value: str, form: ActivationFormat, name: str) -> str:
        kind = np.int8 if form.signed else np.uint8
        parts = self.parts
        zero = parts.constant(f"{name}/zero", 0, kind)
        one = parts.constant(f"{name}/one", 1, np.float32)
        clipped = form.bits < MAX_BITS
        made = parts.node(
            "QuantizeLinear", [value, one, zero], f"{name}/rounded" if clipped else name
        )
        if clipped:
            ends = [
                parts.constant(f"{name}/{what}", end, kind)
                for what, end in (("lowest", form.lo), ("highest", form.hi))
            ]
            made = parts.node("Clip", [made, *ends], name)
        return self._dequantized(made, name)

    def _dequantized(self, value: str, name: str) -> str:
        one = self.parts.constant(f"{name}/one", 1, np.float32)
        return self.parts.node("DequantizeLinear", [value, one], f"{name}/real")


def qdq_files(network: QuantizedNetwork, stem: str) -> dict[str, bytes]:
    """Return the QDQ file of a network by its name."""
    return {f"{stem}_qdq.onnx": Qdq(Parts("qdq"), network).write()}

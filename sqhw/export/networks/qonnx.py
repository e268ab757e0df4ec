"""QONNX: values of float32, rounded by Quant nodes of any width."""

import numpy as np

from sqhw.export.networks.onnx_layers import OnnxFormat, ratios
from sqhw.export.networks.onnx_parts import Parts
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import Conv, QuantizedNetwork


class Qonnx(OnnxFormat):
    """QONNX whose values are the engine's integers: sums, times a channel's ratio, plus a half.

    A Quant of rounding mode FLOOR after that rounds halves up, as the engine does.
    """

    domain = "qonnx.custom_op.general"

    def pixels(self) -> type[np.generic]:
        """Return the type of the input's elements: QONNX has float32 only."""
        return np.float32

    def opened(self, source: str) -> str:
        """Return the value that layers read of the file's input."""
        return self._quant(source, self.network.input_format, f"{source}/integers", "ROUND")

    def weighted(self, layer: Conv, x: str, skip: str | None) -> str:
        """Add a convolution, and return its output's value."""
        name, parts = layer.name, self.parts
        integers = parts.constant(f"{name}/weight_integers", self.weights(layer), np.float32)
        form = ActivationFormat(max(2, layer.value_bits), signed=True)
        weight = self._quant(integers, form, f"{name}/weight", "ROUND")
        bias = parts.constant(f"{name}/bias", layer.bias, np.float32)
        made = self.sums(layer, x, weight, bias)
        if skip is not None and layer.residual is not None:
            factor = parts.constant(f"{name}/skip_weight", layer.residual.weight, np.float32)
            scaled = parts.node("Mul", [skip, factor], f"{name}/skip")
            made = parts.node("Add", [made, scaled], f"{name}/total")
        ratio = parts.constant(f"{name}/ratio", self.channels(layer, ratios(layer)), np.float32)
        half = parts.constant(
            f"{name}/half", self.channels(layer, np.where(layer.shift > 0, 0.5, 0.0)), np.float32
        )
        made = parts.node("Mul", [made, ratio], f"{name}/scaled")
        made = parts.node("Add", [made, half], f"{name}/raised")
        return self._quant(made, layer.output, name, "FLOOR")

    def _quant(self, value: str, form: ActivationFormat, name: str, rounding: str) -> str:
        numbers = [
            self.parts.constant(f"{name}/{what}", number, np.float32)
            for what, number in (("one", 1), ("zero", 0), ("bits", form.bits))
        ]
        return self.parts.node(
            "Quant",
            [value, *numbers],
            name,
            self.domain,
            signed=int(form.signed),
            narrow=0,
            rounding_mode=rounding,
        )


def qonnx_files(network: QuantizedNetwork, stem: str) -> dict[str, bytes]:
    """Return the QONNX file of a network by its name."""
    return {f"{stem}_qonnx.onnx": Qonnx(Parts("qonnx"), network).write()}

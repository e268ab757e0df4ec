"""Makes a residual network in Brevitas and exports it: ``brevitas_export.py FOLDER BITS``.

Runs in the Python environment of that program, so nothing of this project is imported. Weights are
random, scales and statistics those of random images. `FOLDER` gets ``qcdq.onnx``, ``qonnx.onnx``,
and ``scores.npy``, the scores that Brevitas computes of ``inputs.npy``.
"""

import sys
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SEED, OPSET = 3, 18
#: Width of first and last weights and of pixels (unit: bit).
OUTER = 8


def _network(bits: int) -> nn.Module:
    from brevitas import nn as qnn
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerChannelFloat,
        Int8WeightPerTensorFloat,
        Uint8ActPerTensorFloat,
    )

    def conv(inputs: int, outputs: int, kernel: int, stride: int, width: int) -> nn.Module:
        made = qnn.QuantConv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False,
            weight_quant=Int8WeightPerChannelFloat, weight_bit_width=width,
        )  # fmt: skip
        return nn.Sequential(made, nn.BatchNorm2d(outputs))

    def relu() -> nn.Module:
        return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits)

    def signed() -> nn.Module:
        return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)

    class Block(nn.Module):
        """Two convolutions and a shortcut, both quantized by one quantizer, as Brevitas asks."""

        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first, self.middle = conv(inputs, outputs, 3, stride, bits), relu()
            self.second, self.summands = conv(outputs, outputs, 3, 1, bits), signed()
            short = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if short else conv(inputs, outputs, 1, stride, bits)
            self.last = relu()

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.summands(self.second(self.middle(self.first(x))))
            return self.last(made + self.summands(self.shortcut(x)))  # type: ignore[no-any-return]

    return nn.Sequential(
        qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, bit_width=OUTER),
        conv(3, 8, 3, 1, OUTER),
        relu(),
        Block(8, 8, 1),
        Block(8, 16, 2),
        nn.AvgPool2d(8),
        qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, bit_width=bits),
        nn.Flatten(),
        qnn.QuantLinear(
            16, 10, bias=True, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=OUTER
        ),
        qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=OUTER),
    )


def main(folder: str, bits: int) -> None:
    """Write both exports, and the scores of the inputs in the folder."""
    from brevitas.export import export_onnx_qcdq, export_qonnx

    torch.manual_seed(SEED)
    net = _network(bits).train()
    images = torch.randint(0, 256, (64, 3, 16, 16)) / 255
    with torch.no_grad():
        for _ in range(40):
            net(images)
        net.eval()
        scores: Any = net(torch.from_numpy(np.load(f"{folder}/inputs.npy")).float())
    np.save(f"{folder}/scores.npy", np.asarray(getattr(scores, "value", scores)))
    for name, export in (("qcdq", export_onnx_qcdq), ("qonnx", export_qonnx)):
        export(net, args=images[:1], export_path=f"{folder}/{name}.onnx", opset_version=OPSET)
    print(f"brevitas {version('brevitas')}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], int(sys.argv[2]))

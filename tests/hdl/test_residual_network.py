"""A whole residual network in RTL: blocks, both strides, both kinds of end."""

import numpy as np
import pytest

from sqhw.compiler.program import compile_network
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual
from sqhw.verify.runner import RtlBench

U8, S8 = ActivationFormat(8, signed=False), ActivationFormat(8, signed=True)
ENGINE = EngineConfig(
    lanes=16, requantizers=4, bank_depth=1024, groups=True, residuals=True, param_addr_bits=13
)
DENSITY = 0.2


class Builder:
    """Adds layers with random weights; the shifts keep activations in range."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.layers: list[Conv] = []

    def conv(self, source, out, channels, kernel, **options) -> str:
        """Add a convolution and return its name."""
        name = f"layer{len(self.layers)}"
        book = np.array([-60, -20, 20, 60], dtype=np.int8)
        weight = self.rng.choice(book, (out, channels, kernel, kernel))
        weight[self.rng.random(weight.shape) >= DENSITY] = 0
        fields = {
            "stride": 1,
            "padding": (kernel // 2,) * 4,
            "codebook": tuple(book.tolist()),
            "stream": Gap(min(4, (channels + 1).bit_length() - 1), 2),
            "output": U8,
            "weight": weight,
            "multiplier": np.full(out, 200, dtype=np.int32),
            "shift": np.full(out, 15, dtype=np.int32),
        }
        self.layers.append(
            Conv(
                name=name,
                source=source,
                bias=self.rng.integers(-500, 500, out).astype(np.int32),
                weight_scale=np.ones(out),
                output_scale=1.0,
                **(fields | options),
            )
        )
        return name

    def block(self, source, out, channels, stride) -> str:
        """Add a basic block whose shortcut has no parameters."""
        middle = self.conv(source, out, channels, 3, stride=stride)
        skip = Residual(source, 64, stride, (out - channels) // 2)
        return self.conv(middle, out, out, 3, residual=skip)


def residual_network(seed: int) -> QuantizedNetwork:
    """Return a network of the shape of a ResNet for 16x16 images."""
    add = Builder(seed)
    x = add.conv("input", 8, 3, 3)
    x = add.block(x, 8, 8, 1)
    x = add.block(x, 16, 8, 2)
    x = add.block(x, 32, 16, 2)
    ones = np.ones((32, 1, 4, 4), dtype=np.int8)
    mean = {"weight": ones, "codebook": (1,), "stream": Dense(), "groups": 32}
    one, four = np.ones(32, dtype=np.int32), np.full(32, 4, dtype=np.int32)
    x = add.conv(
        x, 32, 1, 4, padding=(0, 0, 0, 0), kind="avgpool", multiplier=one, shift=four, **mean
    )
    add.conv(x, 10, 32, 1, output=S8, kind="linear")
    return QuantizedNetwork("residual", (3, 16, 16), U8, tuple(add.layers))


@pytest.mark.slow
def test_residual_network(tmp_path):
    network = residual_network(seed=0)
    program = compile_network(network, ENGINE)
    write_rom(program, tmp_path)
    write_rtl(ENGINE, program.depths, tmp_path)
    images = np.random.default_rng(1).integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)
    bench = RtlBench(tmp_path, tmp_path / "work", "verilator", ENGINE.requantizers, optimize=False)
    report = bench.run(program, images, tmp_path)
    maps = [shape for name, shape in network.shapes().items() if name != "input"]
    assert report.images == 3
    assert report.activations == 3 * sum(c * h * w for c, h, w in maps)
    assert report.cycles == schedule(network, ENGINE).cycles

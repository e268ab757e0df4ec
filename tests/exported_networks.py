"""Networks whose exports are tested, and what runs the files."""

import subprocess
from dataclasses import replace

import numpy as np
import onnxruntime
from golden_networks import LINEAR, U8, _average, _conv

from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import QuantizedNetwork, Residual

#: Flags with which exported C compiles without a warning.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
PIXEL = ActivationFormat(5, signed=False)  # those of the digits are 0 to 16


def digits_network() -> QuantizedNetwork:
    """Return a network with a channel-wise layer, skips, both poolings, and maps of 4 bits.

    Its multipliers differ from channel to channel, and some are odd, so that sums of ties are few.
    """
    layers = (
        _spread(_conv("first", "input", (8, 1, 3, 3), 11, stream=Gap(1, 2)), 1500, 12),
        _spread(_conv("wise", "first", (8, 1, 3, 3), 12, groups=8, stream=Gap(1, 2)), 600, 14),
        _conv("inner", "wise", (8, 8, 3, 3), 13, residual=Residual("first", 64, 1, 0)),
        MaxPool("pool", "inner", 2, 2),
        _conv(
            "wider", "pool", (16, 8, 3, 3), 14, stride=2, output=ActivationFormat(4, signed=False),
            residual=Residual("pool", 30, 2, 4),
        ),
        _average("mean", "wider", 16, 2),
        _spread(_conv("fc", "mean", (10, 16, 1, 1), 15, **LINEAR), 1103, 11),
    )  # fmt: skip
    return QuantizedNetwork("digits", (1, 8, 8), PIXEL, layers)


def wide_network() -> QuantizedNetwork:
    """Return a network of fully connected layers whose sums are beyond float32's integers."""
    rng = np.random.default_rng(3)
    weight = rng.choice([-127, 127], (3, 1, 40, 40)).astype(np.int8)
    first = _conv("first", "input", (3, 1, 40, 40), 1, **LINEAR)
    first = replace(
        first, weight=weight, codebook=(-127, 127), stream=Dense().coded(2),
        multiplier=first.multiplier * 0 + 40503, shift=first.shift * 0 + 28,
    )  # fmt: skip
    last = _conv("last", "first", (2, 3, 1, 1), 2, stream=Gap(2, 2), **LINEAR)
    return QuantizedNetwork("wide", (1, 40, 40), U8, (first, last))


def _spread(layer, multiplier, shift):
    channels = np.arange(len(layer.bias))
    return replace(
        layer,
        bias=layer.bias // 8,
        multiplier=(multiplier + 37 * channels).astype(np.int32),
        shift=(shift + channels % 2).astype(np.int32),
    )


def compiled(folder, stem):
    """Compile an exported program with strict flags; return its path."""
    sources = [f"{stem}.c", f"{stem}_main.c"]
    subprocess.run(["cc", "-O1", *STRICT, *sources, "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def program_scores(program, images):
    """Return the scores that an exported program prints for images of bytes."""
    path = program.parent / "images.bin"
    path.write_bytes(np.ascontiguousarray(images).astype(np.int8).tobytes())
    printed = subprocess.run(
        [program, path], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return np.array([line.split() for line in printed if line], dtype=np.int64)


def runtime_scores(path, images, *, optimised=False):
    """Return the scores that ONNX Runtime computes of an exported file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimised:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": images})[0]

"""The integer arithmetic of TensorFlow Lite's reference kernels, against LiteRT's outputs."""

import zlib

import numpy as np
import pytest
from tflite_files import int8_cnn, one_operator

from sqhw.frontends.tflite.arithmetic import fixed_point, requantized
from sqhw.frontends.tflite.model import parse_model
from sqhw.frontends.tflite.reader import graph_of
from sqhw.frontends.tflite.running import run_integers

#: CRC-32 of the bytes of each operator's outputs for 40 images, channels last, by LiteRT 2.3.0 with
#: its reference kernels.
LITERT = {
    "conv_2d_0": 2331200881,
    "conv_2d_1": 1634414599,
    "add_2": 3973189718,
    "depthwise_conv_2d_3": 3518459025,
    "conv_2d_4": 2820542287,
    "max_pool_2d_5": 2138924532,
    "average_pool_2d_6": 2282632617,
    "fully_connected_7": 2437125509,
}


def test_every_tensor_is_that_of_litert():
    found = graph_of(parse_model(int8_cnn()), "net")
    images = np.random.default_rng(9).integers(-128, 128, (40, 9, 7, 2))
    tensors = run_integers(found, images.transpose(0, 3, 1, 2))
    sums = {
        name: zlib.crc32(tensors[name].transpose(0, 2, 3, 1).astype(np.int8).tobytes())
        for name in LITERT
    }
    assert sums == LITERT


#: CRC-32 of the outputs of single operators for 200 images, channels last, by LiteRT 2.3.0.
OPERATORS = {
    "relu6": 3300322861,
    "relu": 3360330562,
    "relu_other": 1227910910,
    "quantize": 619548099,
    "pad": 2070833054,
    "mean": 214730373,
    "mean_other": 4284391596,
    "fc_keep": 516621282,
    "fc_channel": 3185429444,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_single_operators_are_those_of_litert(name):
    found = graph_of(parse_model(one_operator(name)), "net")
    images = np.random.default_rng(9).integers(-128, 128, (200, 6, 6, 3)).transpose(0, 3, 1, 2)
    made = run_integers(found, images)[found.output].transpose(0, 2, 3, 1)
    assert zlib.crc32(made.astype(np.int8).tobytes()) == OPERATORS[name]


def double_rounding(x, ratio):
    """The two roundings as gemmlowp writes them, on Python's integers."""
    multiplier, shift = fixed_point(ratio)
    product = (x << max(shift, 0)) * multiplier
    nudge = (1 << 30) if product >= 0 else 1 - (1 << 30)
    high = int((product + nudge) / (1 << 31)) if abs(product) < 1 << 52 else None
    if high is None:
        total = product + nudge
        high = total // (1 << 31) if total >= 0 else -(-total // (1 << 31))
    right = max(-shift, 0)
    mask = (1 << right) - 1
    rest = high & mask
    return (high >> right) + (rest > (mask >> 1) + (high < 0))


@pytest.mark.parametrize("ratio", [0.00123, 0.5, 0.75, 1 / 3, 1.0, 3.7, 2.0**-20])
def test_requantization_rounds_twice(ratio):
    edge = round(0.5 / ratio)
    xs = [*range(-40, 41), edge, -edge, 3 * edge, -3 * edge, 99_991, -99_991]
    got = requantized(np.array([xs]), np.float64(ratio))[0].tolist()
    assert got == [double_rounding(x, ratio) for x in xs]

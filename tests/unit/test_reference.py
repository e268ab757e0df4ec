"""The reference against values computed by hand, by exact fractions and by plain loops."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks_with_images

from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual
from sqhw.sim import reference


@pytest.mark.parametrize(
    ("acc", "multiplier", "shift", "result"),
    [
        (0, 1, 0, 0),
        (7, 1, 0, 7),
        (-7, 3, 0, -21),
        # halves go up: floor(x + 1/2)
        (1, 1, 1, 1),  # 0.5
        (-1, 1, 1, 0),  # -0.5
        (3, 1, 1, 2),  # 1.5
        (-3, 1, 1, -1),  # -1.5
        (5, 1, 1, 3),  # 2.5
        (-5, 1, 1, -2),  # -2.5
        (-6, 1, 2, -1),  # -1.5
        (-10, 1, 2, -2),  # -2.5
        # next to a half
        (-7, 1, 2, -2),  # -1.75
        (-5, 1, 2, -1),  # -1.25
        # 100 * 0.30078125 = 30.078125; 77 / 256 is the dyadic number nearest to 0.3
        (100, 77, 8, 30),
        (-100, 77, 8, -30),
        # the ends of the ranges
        ((1 << 31) - 1, 65535, 31, 65535),
        (-(1 << 31), 65535, 31, -65535),
        (1 << 30, 1, 31, 1),  # 0.5
        (-(1 << 30), 1, 31, 0),  # -0.5
    ],
)
def test_requantize_by_hand(acc, multiplier, shift, result):
    assert reference.requantize(acc, multiplier, shift, -(1 << 40), 1 << 40) == result


@given(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(1, 65535),
    st.integers(0, 31),
    st.integers(2, 8),
    st.booleans(),
)
def test_requantize_is_floor_of_x_plus_a_half(acc, multiplier, shift, bits, signed):
    form = ActivationFormat(bits, signed)
    exact = floor(Fraction(acc * multiplier, 1 << shift) + Fraction(1, 2))
    expected = min(max(exact, form.lo), form.hi)
    assert reference.requantize(acc, multiplier, shift, form.lo, form.hi) == expected


@pytest.mark.parametrize(
    ("acc", "lo", "hi", "result"),
    [(16, 0, 15, 15), (-1, 0, 15, 0), (-9, -8, 7, -8), (8, -8, 7, 7), (7, -8, 7, 7)],
)
def test_requantize_clamps(acc, lo, hi, result):
    assert reference.requantize(acc, 1, 0, lo, hi) == result


def layer(weight, **changes):
    weight = np.array(weight, dtype=np.int8)
    channels = weight.shape[0]
    fields = {
        "name": "c",
        "source": "input",
        "weight": weight,
        "bias": np.zeros(channels, np.int32),
        "multiplier": np.ones(channels, np.int32),
        "shift": np.zeros(channels, np.int32),
        "stride": 1,
        "padding": (0, 0, 0, 0),
        "codebook": tuple(range(-3, 4)),
        "stream": Dense(3),
        "output": ActivationFormat(8, True),
        "weight_scale": np.ones(channels),
        "output_scale": 1.0,
    }
    return Conv(**(fields | changes))


def test_conv_is_a_correlation_and_not_flipped():
    x = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
    y = reference.conv(x, layer([[[[1, 0], [0, -1]]]]))
    np.testing.assert_array_equal(y, [[[1 - 5, 2 - 6], [4 - 8, 5 - 9]]])


def test_conv_pads_top_bottom_left_right_with_zeros():
    x = np.array([[[1, 2], [3, 4]]])
    y = reference.conv(x, layer([[[[1]]]], padding=(1, 0, 2, 3)))
    np.testing.assert_array_equal(
        y, [[[0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 2, 0, 0, 0], [0, 0, 3, 4, 0, 0, 0]]]
    )


def test_conv_with_stride_begins_at_the_padded_corner():
    x = np.arange(1, 10).reshape(1, 3, 3)
    np.testing.assert_array_equal(reference.conv(x, layer([[[[1]]]], stride=2)), [[[1, 3], [7, 9]]])
    np.testing.assert_array_equal(
        reference.conv(x, layer([[[[1]]]], stride=2, padding=(1, 0, 1, 0))), [[[0, 0], [0, 5]]]
    )


def test_conv_adds_channels_and_bias_and_requantizes_each_output():
    x = np.array([[[10]], [[-20]]])
    y = reference.conv(
        x,
        layer(
            [[[[3]], [[1]]], [[[-2]], [[-3]]]],
            bias=np.array([5, -1], np.int32),
            multiplier=np.array([3, 1], np.int32),
            shift=np.array([1, 2], np.int32),
        ),
    )
    # (30 - 20 + 5) * 3 / 2 = 22.5 and (-20 + 60 - 1) / 4 = 9.75
    np.testing.assert_array_equal(y, [[[23]], [[10]]])


@settings(max_examples=50)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2),
    st.tuples(*[st.integers(0, 2)] * 4), st.integers(0, 1 << 32),
)  # fmt: skip
def test_groups_are_those_of_torch(groups, inputs, outputs, stride, padding, seed):
    rng = np.random.default_rng(seed)
    kernel = rng.integers(1, 4, 2)
    weight = rng.integers(-128, 128, (groups * outputs, inputs, *kernel))
    x = rng.integers(-128, 256, (groups * inputs, *(kernel + rng.integers(0, 4, 2))))
    bias, shift = rng.integers(-999, 1000, (2, groups * outputs)), rng.integers(0, 16)
    conv = layer(
        weight,
        bias=bias[0].astype(np.int32),
        shift=np.full(groups * outputs, shift, np.int32),
        stride=stride,
        padding=padding,
        groups=groups,
    )
    top, bottom, left, right = padding
    # Doubles hold these integers exactly.
    padded = torch.nn.functional.pad(torch.tensor(x).double(), (left, right, top, bottom))
    acc = torch.nn.functional.conv2d(
        padded[None],
        torch.tensor(weight).double(),
        torch.tensor(bias[0]).double(),
        stride=stride,
        groups=groups,
    )
    expected = np.floor(acc[0].numpy() / 2.0**shift + 0.5).clip(-128, 127)
    np.testing.assert_array_equal(reference.conv(x, conv), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (2, 1), (4, 2)])
def test_average_pooling_is_a_depthwise_convolution_of_ones(kernel, stride):
    rng = np.random.default_rng(kernel + stride)
    x = rng.integers(-128, 128, (3, 6, 5))
    pool = layer(
        np.ones((3, 1, kernel, kernel)),
        stride=stride,
        shift=np.full(3, kernel, np.int32),  # 2**2 and 2**4 elements
        groups=3,
        kind="avgpool",
    )
    means = torch.nn.functional.avg_pool2d(torch.tensor(x).double(), kernel, stride)
    np.testing.assert_array_equal(reference.conv(x, pool), np.floor(means.numpy() + 0.5))


def test_average_of_nine_by_hand():
    # 57 / 512 is the dyadic number nearest to 1/9 with 9 bits: 45 * 57 / 512 = 5.01
    x = np.stack([np.arange(1, 10).reshape(3, 3), np.full((3, 3), -128)])
    nine = {"multiplier": np.full(2, 57, np.int32), "shift": np.full(2, 9, np.int32)}
    pool = layer(np.ones((2, 1, 3, 3)), groups=2, kind="avgpool", **nine)
    np.testing.assert_array_equal(reference.conv(x, pool), [[[5]], [[-128]]])


def test_groups_read_their_own_share_of_the_input():
    x = np.array([[[1]], [[10]], [[2]], [[20]]])  # channels 0, 1 of group 0 and 2, 3 of group 1
    weight = [[[[1]], [[0]]], [[[0]], [[1]]], [[[1]], [[1]]], [[[-1]], [[1]]]]
    y = reference.conv(x, layer(weight, groups=2))
    np.testing.assert_array_equal(y[:, 0, 0], [1, 10, 22, 18])


def test_a_residual_is_added_before_requantization():
    x = np.array([[[1, 2], [3, 4]]])
    skip = np.array([[[10, 20, 30, 40], [0] * 4, [50, 60, 70, 80], [0] * 4]])
    y = reference.conv(
        x,
        layer(
            [[[[1]]], [[[2]]]],
            shift=np.array([0, 1], np.int32),
            residual=Residual("skip", weight=3, stride=2, first=1),
        ),
        skip,
    )
    np.testing.assert_array_equal(y[0], x[0])  # channel 0 of the skip goes to output 1
    # (2 * x + 3 * skip) / 2, clamped to 127
    np.testing.assert_array_equal(y[1], [[16, 47], [78, 109]])


def test_a_residual_with_stride_reaches_only_its_channels_and_the_last_odd_line():
    skip = np.arange(2 * 3 * 5).reshape(2, 3, 5)  # stride 2 takes lines 0 and 2, columns 0, 2, 4
    ones = [[[[1]]]] * 4
    x = np.array([[[1, 2, 3], [4, 5, 6]]])
    y = reference.conv(x, layer(ones, residual=Residual("skip", weight=2, stride=2, first=1)), skip)
    np.testing.assert_array_equal(y[0], x[0])
    np.testing.assert_array_equal(y[1], [[1 + 0, 2 + 4, 3 + 8], [4 + 20, 5 + 24, 6 + 28]])
    np.testing.assert_array_equal(y[2], [[1 + 30, 2 + 34, 3 + 38], [4 + 50, 5 + 54, 6 + 58]])
    np.testing.assert_array_equal(y[3], x[0])


def test_a_network_adds_the_tensor_that_a_residual_names():
    same = {"multiplier": np.full(1, 1, np.int32), "bias": np.zeros(1, np.int32)}
    layers = (
        layer([[[[2]]]], name="a", **same),
        layer([[[[-1]]]], name="b", source="a", residual=Residual("input", 3), **same),
        layer([[[[1]]]], name="c", source="b", residual=Residual("a", 5), **same),
    )
    network = QuantizedNetwork("net", (1, 1, 2), ActivationFormat(8, True), layers)
    tensors = reference.run(network, np.array([[[10, -3]]]))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "input": [[[10, -3]]],
        "a": [[[20, -6]]],
        "b": [[[10, -3]]],  # 3 * 10 - 20
        "c": [[[110, -33]]],
    }


def test_maxpool_drops_windows_that_leave_the_map():
    x = np.array([[[1, 2, 9], [3, -4, 9], [9, 9, 9]], [[-5, -6, 0], [-7, -8, 0], [0, 0, 0]]])
    y = reference.maxpool(x, MaxPool("p", "input", kernel=2, stride=2))
    np.testing.assert_array_equal(y, [[[3]], [[-5]]])


@given(networks_with_images(max_images=1, branches=True))
def test_every_tensor_has_its_shape_and_range(case):
    network, images = case
    tensors = reference.run(network, images[0])
    shapes, formats = network.shapes(), network.formats()
    assert list(tensors) == list(shapes)
    for name, tensor in tensors.items():
        assert tensor.shape == shapes[name]
        assert tensor.min() >= formats[name].lo
        assert tensor.max() <= formats[name].hi

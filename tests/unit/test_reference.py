"""The reference against values computed by hand, by exact fractions and by plain loops."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks_with_images

from sqhw.network import Conv, MaxPool, Residual
from sqhw.number import ActivationFormat
from sqhw.sim import reference
from sqhw.stream import StreamFormat


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
        "stream": StreamFormat(0, 3),
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

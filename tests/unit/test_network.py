from dataclasses import replace

import numpy as np
import pytest

from sqhw.errors import SqhwError
from sqhw.machine.number import ActivationFormat
from sqhw.machine.stream import Dense, Gap
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork, Residual

PIXELS = ActivationFormat(8, signed=False)


def conv(**changes):
    """Return a valid layer of 3 outputs on 2 inputs, with some fields changed."""
    weight = np.zeros((3, 2, 3, 3), np.int8)
    weight[0, 0, 0, 0], weight[1, 1, 2, 2], weight[2, 0, 1, 1] = 4, -3, 4
    fields = {
        "name": "c1",
        "source": "input",
        "weight": weight,
        "bias": np.array([10, 0, -10], np.int32),
        "multiplier": np.array([1, 2, 3], np.int32),
        "shift": np.array([0, 1, 2], np.int32),
        "stride": 1,
        "padding": (1, 1, 1, 1),
        "codebook": (-3, 4),
        "stream": Gap(1, 1),
        "output": ActivationFormat(4, signed=True),
        "weight_scale": np.ones(3),
        "output_scale": 0.5,
    }
    return Conv(**(fields | changes))


def network(*layers, input_shape=(2, 8, 6)):
    return QuantizedNetwork("net", input_shape, PIXELS, layers)


def message(*layers, **changes):
    with pytest.raises(SqhwError) as error:
        network(*layers, **changes)
    return str(error.value)


def changed(name, index, value):
    """Return the layer with one element of an array set."""
    array = getattr(conv(), name).copy()
    array[index] = value
    return conv(**{name: array})


def test_shapes_and_formats():
    net = network(
        conv(stride=2, padding=(1, 0, 2, 1)),
        MaxPool("p1", "c1", kernel=2, stride=1),
        MaxPool("p2", "input", kernel=3, stride=2),
    )
    assert net.shapes() == {
        "input": (2, 8, 6),
        "c1": (3, 4, 4),  # (8 + 1 - 3) // 2 + 1, (6 + 3 - 3) // 2 + 1
        "p1": (3, 3, 3),
        "p2": (2, 3, 2),
    }
    assert net.formats() == {
        "input": PIXELS,
        "c1": ActivationFormat(4, signed=True),
        "p1": ActivationFormat(4, signed=True),
        "p2": PIXELS,
    }
    assert [layer.name for layer in net.convs] == ["c1"]
    assert net.nonzeros == 3


def test_acc_bound_by_hand():
    np.testing.assert_array_equal(conv().acc_bound(PIXELS), [4 * 255 + 10, 3 * 255, 4 * 255 + 10])
    np.testing.assert_array_equal(
        conv().acc_bound(ActivationFormat(4, signed=True)), [4 * 8 + 10, 3 * 8, 4 * 8 + 10]
    )


def test_acc_bound_of_the_smallest_int8_and_int32():
    layer = changed("bias", 0, -(1 << 31))
    layer = replace(layer, weight=np.full((3, 2, 3, 3), -128, np.int8), codebook=(-128,))
    assert layer.acc_bound(PIXELS)[0] == 18 * 128 * 255 + (1 << 31)


def test_no_layers():
    assert message() == "network 'net' has no layers"


@pytest.mark.parametrize("shape", [(2, 8), (2, 0, 6), (2, 8, 6, 1)])
def test_input_shape(shape):
    assert message(conv(), input_shape=shape) == (
        f"network 'net': input shape must be (channels, height, width), not {shape}"
    )


def test_name_twice():
    assert message(conv(), MaxPool("c1", "c1", 1, 1)) == "layer 'c1': the name is used twice"
    assert message(conv(name="input")) == "layer 'input': the name is used twice"


def test_source_unknown_or_later():
    wanted = "layer 'p': reads tensor 'c1', which no earlier layer makes"
    assert message(MaxPool("p", "c1", 1, 1), conv()) == wanted


@pytest.mark.parametrize("stride", [0, 3])
def test_stride(stride):
    wanted = f"stride must be 1 or 2, not {stride}"
    assert message(conv(stride=stride)) == f"layer 'c1': {wanted}"
    assert message(MaxPool("p", "input", 1, stride)) == f"layer 'p': {wanted}"


def test_pool_kernel():
    assert message(MaxPool("p", "input", 0, 1)) == "layer 'p': kernel must be at least 1, not 0"


def test_window_larger_than_the_map():
    assert message(MaxPool("p", "input", 7, 2)) == (
        "layer 'p': its window is larger than its input map (8, 6)"
    )
    assert message(conv(padding=(0, 0, 0, 0)), input_shape=(2, 2, 3)) == (
        "layer 'c1': its window is larger than its input map (2, 3)"
    )


@pytest.mark.parametrize("shape", [(3, 18), (3, 0, 3, 3)])
def test_weight_shape(shape):
    assert message(conv(weight=np.zeros(shape, np.int8))) == (
        f"layer 'c1': weight must have shape (out, in, kernel_h, kernel_w), not {shape}"
    )


def test_weight_channels():
    assert message(conv(), input_shape=(4, 8, 6)) == (
        "layer 'c1': weight is for 2 input channels, its input has 4"
    )


def test_kind():
    assert message(conv(kind="deconv")) == (
        "layer 'c1': kind must be one of conv, linear, avgpool, not 'deconv'"
    )


def test_weight_type():
    assert message(conv(weight=conv().weight.astype(np.int16))) == (
        "layer 'c1': weight must be int8, not int16"
    )


@pytest.mark.parametrize("name", ["bias", "multiplier", "shift", "weight_scale"])
def test_vector_shape(name):
    assert message(conv(**{name: getattr(conv(), name)[:2]})) == (
        f"layer 'c1': {name} must have shape (3,), not (2,)"
    )


@pytest.mark.parametrize("name", ["bias", "multiplier", "shift"])
def test_vector_type(name):
    assert message(conv(**{name: getattr(conv(), name).astype(np.int64)})) == (
        f"layer 'c1': {name} must be int32, not int64"
    )


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("multiplier", 0, "multiplier must be 1 to 65535, found 0 to 3"),
        ("multiplier", 65536, "multiplier must be 1 to 65535, found 2 to 65536"),
        ("shift", -1, "shift must be 0 to 31, found -1 to 2"),
        ("shift", 32, "shift must be 0 to 31, found 1 to 32"),
    ],
)
def test_vector_range(name, value, wanted):
    assert message(changed(name, 0, value)) == f"layer 'c1': {wanted}"


@pytest.mark.parametrize("padding", [(1, 1), (0, 0, -1, 0)])
def test_padding(padding):
    assert message(conv(padding=padding)) == (
        f"layer 'c1': padding must be four numbers >= 0, not {padding}"
    )


@pytest.mark.parametrize("book", [(), (4, -3), (-3, 4, 4)])
def test_codebook_order(book):
    assert message(conv(codebook=book)) == (
        f"layer 'c1': codebook must be distinct ascending values, not {book}"
    )


@pytest.mark.parametrize("book", [(-129, 4), (-3, 128)])
def test_codebook_range(book):
    assert message(conv(codebook=book)) == (
        f"layer 'c1': codebook values must be -128 to 127, not {book}"
    )


def test_codebook_size():
    assert message(conv(codebook=(-3, 4, 5))) == (
        "layer 'c1': codebook has 3 values, 1-bit codes name only 2"
    )


def test_dense_needs_zero():
    assert message(conv(stream=Dense(1))) == (
        "layer 'c1': a dense stream with zero weights needs 0 in its codebook"
    )


def test_dense_without_zero_weights_needs_none():
    full = np.full((3, 2, 3, 3), 4, np.int8)
    assert network(conv(weight=full, stream=Dense(1))).nonzeros == 54


def test_gap_stream_takes_no_zero():
    assert message(conv(codebook=(-3, 0, 4), stream=Gap(1, 2))) == (
        "layer 'c1': a gap stream stores non-zeros only; take 0 out of its codebook"
    )


def test_weight_outside_the_codebook():
    assert message(changed("weight", (0, 0, 0, 1), 7)) == (
        "layer 'c1': weight 7 is not in its codebook"
    )


def test_gap_longer_than_the_channels():
    assert message(conv(stream=Gap(3, 1))) == (
        "layer 'c1': a gap field of 3 bits is too wide for 2 input channels and a kernel 3 wide; "
        "at most 2"
    )


def depthwise(**changes):
    """Return a valid layer of 4 outputs in 2 groups of one input channel."""
    four = conv(name="d1", weight=np.full((4, 1, 1, 1), 4, np.int8), padding=(0, 0, 0, 0), groups=2)
    vectors = {name: np.ones(4, np.int32) for name in ("bias", "multiplier", "shift")}
    return replace(four, **vectors, weight_scale=np.ones(4), **changes)


def test_groups():
    net = network(depthwise())
    assert net.shapes()["d1"] == (4, 8, 6)
    assert net.acc_bounds() == {"d1": 4 * 255 + 1}


@pytest.mark.parametrize("groups", [0, 3, -2])
def test_groups_divide_the_outputs(groups):
    assert message(depthwise(groups=groups)) == (
        f"layer 'd1': groups must divide its 4 output channels, not {groups}"
    )


def test_groups_times_inputs():
    assert message(depthwise(groups=4)) == (
        "layer 'd1': weight is for 4 input channels, its input has 2"
    )


def test_residual():
    net = network(conv(residual=Residual("input", weight=7, first=1)))
    assert net.acc_bounds() == {"c1": 4 * 255 + 10 + 7 * 255}
    assert net.layers[0].sources == ("input", "input")


def test_residual_counts_in_the_format_of_its_tensor():
    net = network(
        conv(),
        conv(name="c2", padding=(1, 1, 1, 1), residual=Residual("c1", weight=7)),
    )
    assert net.acc_bounds() == {"c1": 4 * 255 + 10, "c2": 4 * 255 + 10 + 7 * 8}
    assert net.layers[1].sources == ("input", "c1")
    with pytest.raises(ValueError, match=r"^layer 'c2' adds a residual: its format is needed$"):
        net.layers[1].acc_bound(PIXELS)


def test_a_gap_skips_no_more_than_the_channels_of_a_group():
    assert message(depthwise(stream=Gap(2, 1))) == (
        "layer 'd1': a gap field of 2 bits is too wide for 1 input channels and a kernel 1 wide; "
        "at most 1"
    )


def test_residual_with_stride_rounds_its_size_up():
    small = conv(stride=2, padding=(1, 1, 1, 1), residual=Residual("input", 1, stride=2))
    assert network(small, input_shape=(2, 7, 5)).shapes()["c1"] == (3, 4, 3)


@pytest.mark.parametrize(
    ("residual", "text"),
    [
        (Residual("c1", 1), "adds tensor 'c1', which no earlier layer makes"),
        (Residual("input", 0), "residual weight must be 1 to 127, not 0"),
        (Residual("input", 128), "residual weight must be 1 to 127, not 128"),
        (Residual("input", 1, stride=3), "residual stride must be 1 or 2, not 3"),
        (Residual("input", 1, stride=2), "adds tensor 'input' of size 4x3 to its own of 8x6"),
        (
            Residual("input", 1, first=2),
            "adds the 2 channels of 'input' from channel 2 on, it has 3",
        ),
        (
            Residual("input", 1, first=-1),
            "adds the 2 channels of 'input' from channel -1 on, it has 3",
        ),
    ],
)
def test_residual_rules(residual, text):
    assert message(conv(residual=residual)) == f"layer 'c1': {text}"


def test_window_larger_than_the_map_comes_before_its_residual():
    layer = conv(padding=(0, 0, 0, 0), residual=Residual("input", 1))
    assert message(layer, input_shape=(2, 2, 3)) == (
        "layer 'c1': its window is larger than its input map (2, 3)"
    )

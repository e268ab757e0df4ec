"""The reader of TensorFlow Lite files: what it makes of them, and what it refuses."""

import random

import numpy as np
import pytest
import tflite
from tflite_files import RELU, SAME, VALID, TfliteFile, conv_options, float_cnn, int8_cnn

from sqhw.errors import SqhwError
from sqhw.frontends import neutral as n
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.quantized import lower
from sqhw.frontends.tflite import names, read_tflite
from sqhw.frontends.tflite.arithmetic import ReferenceKernels
from sqhw.frontends.tflite.layout import same_padding
from sqhw.frontends.tflite.model import parse_model
from sqhw.frontends.tflite.reader import graph_of

#: Softmax of `float_cnn` by LiteRT 2.3.0 on the images of the test.
SOFTMAX = [0.0, 8.306525497818462e-13, 0.0, 0.9998929500579834, 0.00010705045860959217]


def graph(data):
    return graph_of(parse_model(data), "net")


def refused(data):
    with pytest.raises(SqhwError) as error:
        graph(data)
    return str(error.value)


def test_float_file_computes_what_litert_does():
    x = np.random.default_rng(1).normal(size=(4, 3, 9, 9))
    found = graph(float_cnn(np.random.default_rng(0)))
    scores = np.exp(evaluate(found, x)[found.output][2, :, 0, 0])
    np.testing.assert_allclose(scores / scores.sum(), SOFTMAX, rtol=1e-4, atol=1e-30)
    assert found.notes == ("SOFTMAX at the end is left out: the largest score stays the largest",)
    assert not found.quantized


def test_a_file_on_disk_gives_the_network_its_name(tmp_path):
    path = tmp_path / "mine.tflite"
    path.write_bytes(int8_cnn())
    found = read_tflite(path)
    assert (found.name, found.source) == ("mine", "tflite")
    path.write_bytes(b"no model")
    with pytest.raises(SqhwError, match=r"mine.tflite.*not a TensorFlow Lite file"):
        read_tflite(path)


def test_int8_layers_have_their_integers_grids_and_bounds():
    found = graph(int8_cnn())
    first = found.operators[0]
    assert isinstance(first, n.Convolution)
    assert (first.padding, first.stride, first.clamp) == ((1, 1, 1, 1), (2, 2), (-128, 127))
    assert first.weight.values.shape == (6, 2, 3, 3)
    assert first.weight.quantization.axis == 0
    grid = found.tensors["input"].quantization
    assert (float(grid.scale), int(grid.zero_point), grid.rounding) == (0.5, 83, "half_away")
    depthwise = found.operators[3]
    assert (depthwise.weight.values.shape, depthwise.groups) == ((12, 1, 3, 3), 6)
    assert depthwise.weight.quantization.axis == 0


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding"),
    [(32, 3, 2, 1, (0, 1)), (49, 10, 2, 1, (4, 5)), (9, 3, 1, 2, (2, 2)), (7, 1, 2, 1, (0, 0))],
)
def test_same_padding_has_the_odd_zero_at_the_end(size, kernel, stride, dilation, padding):
    assert same_padding(size, kernel, stride, dilation) == padding


def test_names_and_types_are_those_of_the_schema():
    operators = vars(tflite.BuiltinOperator).items()
    assert {name: value for name, value in operators if isinstance(value, int)} == {
        name: at for at, name in enumerate(names.OPERATORS)
    }
    types = vars(tflite.TensorType).items()
    assert {name: value for name, value in types if isinstance(value, int)} == {
        name: at for at, name in enumerate(names.TYPES)
    }


def with_operator(kind, *, dtype=np.float32, shape=(1, 4, 4, 2), table=None, **fields):
    file = TfliteFile()
    x = file.tensor(shape, dtype)
    y = file.operator(kind, [x], file.tensor(shape, dtype), table, **fields)
    z = file.operator("TANH", [y], file.tensor(shape, dtype))
    return file.written([x], [z])


def test_all_operators_that_are_not_read_are_named_at_once():
    assert refused(with_operator("SPACE_TO_DEPTH")) == (
        "SPACE_TO_DEPTH 'space_to_depth_0' is not read; "
        "TANH 'tanh_1' is not read (train with ReLU or ReLU6)"
    )


def test_softmax_in_the_middle_is_refused():
    assert "softmax_0' stands in the middle" in refused(
        with_operator("SOFTMAX", table="SoftmaxOptions")
    )


def conv_file(*, dtype=np.int8, signature=None, weight=None, grid=None, activation=RELU, batch=1):
    file = TfliteFile()
    grid = {"scale": 0.5, "zero_point": 3} if grid is None else grid
    more = {} if signature is None else {"signature": signature}
    x = file.tensor((batch, 4, 4, 2), dtype, **grid, **more)
    if weight is None:
        weight = file.constant(np.ones((3, 1, 1, 2), np.int8), scale=[0.1] * 3, zero_point=[0] * 3)
    else:
        weight = weight(file)
    y = file.tensor((batch, 4, 4, 3), dtype, scale=0.25, zero_point=-128)
    table, fields = conv_options(SAME, 1, activation)
    file.operator("CONV_2D", [x, weight], y, table, **fields)
    return file.written([x], [y])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": np.int16}, "activations of type INT16 (convert the model to float32, or to"),
        ({"signature": [-1, -1, 4, 2]}, "leaves open (axis 1 of"),
        ({"batch": 2}, "a tensor of 2 images (convert the model for a batch of 1)"),
        ({"grid": {"scale": [0.5, 0.25], "zero_point": [0, 0], "axis": 3}}, "with 2 scales"),
        ({"grid": {"scale": 0.0, "zero_point": 0}}, "activations of scale 0.0"),
        ({"activation": 4}, "has the activation function TANH (train with ReLU or ReLU6)"),
        (
            {"weight": lambda f: f.constant(np.ones((3, 1, 1, 2), np.int8), scale=1, zero_point=2)},
            "has weights with a zero point, or without a scale (quantize the weights",
        ),
        (
            {"weight": lambda f: f.constant(np.ones((3, 1, 1, 2), np.uint8), scale=1)},
            "has weights of type UINT8 beside integer activations",
        ),
        (
            {"weight": lambda f: f.tensor((3, 1, 1, 2), np.int8)},
            "has weights of type INT8 that no constant in the file gives",
        ),
    ],
)
def test_quantization_that_is_not_read_is_named(fields, message):
    assert message in refused(conv_file(**fields))


def test_the_batch_may_be_open():
    assert graph(conv_file(signature=[-1, 4, 4, 2])).tensors["input"].shape == (2, 4, 4)


def test_half_precision_weights_behind_dequantize_are_converted():
    file = TfliteFile()
    x = file.tensor((1, 4, 4, 2), np.float32)
    half = file.constant(np.full((3, 1, 1, 2), 0.5, np.float16))
    weight = file.operator("DEQUANTIZE", [half], file.tensor((3, 1, 1, 2), np.float32))
    y = file.tensor((1, 4, 4, 3), np.float32)
    table, fields = conv_options(VALID)
    file.operator("CONV_2D", [x, weight], y, table, **fields)
    found = graph(file.written([x], [y]))
    assert (found.operators[0].weight.values == 0.5).all()
    assert found.notes == ("weights of type FLOAT16 were converted to 32 bits",)


def test_weights_that_are_not_finite_are_refused():
    file = TfliteFile()
    x = file.tensor((1, 4, 4, 1), np.float32)
    weight = file.constant(np.full((1, 1, 1, 1), np.nan, np.float32))
    table, fields = conv_options()
    y = file.operator(
        "CONV_2D", [x, weight], file.tensor((1, 4, 4, 1), np.float32), table, **fields
    )
    assert "has a weight that is not finite" in refused(file.written([x], [y]))


def test_other_files_are_refused():
    data = int8_cnn()
    assert "not a TensorFlow Lite file" in refused(b"\x08\x00\x00\x00ABCD")
    assert refused(TfliteFile().written([], [], version=2)) == (
        "a TensorFlow Lite file of schema version 2; 3 is read"
    )
    for end in range(8, len(data), 97):
        with pytest.raises(SqhwError):
            graph(data[:end])


def test_shared_constants_are_bounded():
    file = TfliteFile()
    x = file.tensor((1, 4, 4, 2), np.float32)
    weight = file.constant(np.ones((5000, 1, 1, 2), np.float32))
    table, fields = conv_options()
    y = file.tensor((1, 4, 4, 5000), np.float32)
    for _ in range(20):
        file.operator("CONV_2D", [x, weight], y, table, **fields)
    assert "bytes of constants, more than 4 times" in refused(file.written([x], [y]))


def mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            end = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
            data[at : at + 4] = rng.choice(end)
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def test_mutated_files_are_read_or_refused_in_a_sentence():
    rng, outcomes = random.Random(0), set()
    seeds = [float_cnn(np.random.default_rng(0)), int8_cnn()]
    for number in range(200):
        try:
            found = graph(mutated(rng.choice(seeds), rng))
            if found.quantized and number % 16 == 0:
                lower(found, ReferenceKernels())
            outcomes.add("read")
        except SqhwError as error:
            outcomes.add("lines" if "\n" in str(error) else "refused")
    assert outcomes == {"read", "refused"}

"""Quantized networks of models: thresholds met, zero points, bounds, and what is exact."""

import numpy as np
import pytest
from tflite_files import Int8Builder, int8_cnn

from sqhw.errors import SqhwError
from sqhw.frontends import neutral as n
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.fit import fit, thresholds
from sqhw.frontends.quantized.held import held
from sqhw.frontends.quantized.kernels import RealKernels
from sqhw.frontends.tflite.arithmetic import ReferenceKernels
from sqhw.frontends.tflite.model import parse_model
from sqhw.frontends.tflite.reader import graph_of
from sqhw.frontends.tflite.running import run_integers
from sqhw.machine.number import ActivationFormat
from sqhw.sim.simulator import Simulator

U8, S8 = ActivationFormat(8, False), ActivationFormat(8, True)


def grid(scale=1.0, zero_point=0, bits=8, signed=True, **more):
    axis = 0 if np.ndim(scale) else None
    zero_point = np.broadcast_to(np.asarray(zero_point), np.shape(scale))
    return n.Quantization(np.asarray(scale), zero_point, bits, signed, axis=axis, **more)


def weights(values, scale=1.0, bits=8, **more):
    return n.Constant("w", np.asarray(values), grid(scale, 0, bits, **more))


def chain(operators, tensors, output=None):
    found = {name: n.Tensor(*one) for name, one in tensors.items()}
    return n.Graph("net", "test", "input", output or operators[-1].output, found, tuple(operators))


def integers(lowered, images):
    """Return the file's integers of every tensor that the simulator has."""
    maps = Simulator(lowered.network).run(images)
    return {tensor: h.to_file(maps[layer]) for tensor, (layer, h) in lowered.maps.items()}


@pytest.mark.parametrize("form", [U8, S8, ActivationFormat(3, True)])
@pytest.mark.parametrize("ratio", [0.5, 0.0123, 3.0, 1 / 7])
def test_fit_meets_every_threshold_or_says_how_many_sums_differ(form, ratio):
    shift = np.array([0.3, -17.2, 5.0])[:, None]

    def response(sums):
        return np.floor(sums * ratio + shift + 0.5).clip(form.lo, form.hi).astype(np.int64)

    low, high = np.full(3, -4000), np.full(3, 5000)
    found = fit(response, form, low, high, (1, 2, 4, 8))
    sums = np.arange(-4000, 5001)
    half = np.where(found.shift > 0, 1 << np.maximum(found.shift - 1, 0), 0)
    acc = found.factor * sums + found.bias[:, None]
    made = (acc * found.multiplier[:, None] + half[:, None]) >> found.shift[:, None]
    made = made.clip(form.lo, form.hi)
    exact = response(np.tile(sums, (3, 1)))
    assert np.count_nonzero(made != exact) == found.differing <= 40
    assert found.sums == exact.size


def test_thresholds_are_the_first_sums():
    low, high = np.array([-10]), np.array([10])
    found = thresholds(
        lambda sums: (sums > 3) * 1 + (sums > 7) * 2, ActivationFormat(2, False), low, high
    )
    assert found.tolist() == [[4, 8, 8]]


def test_a_channel_that_never_changes_has_no_weights():
    found = fit(lambda sums: np.full(sums.shape, 7), U8, np.array([-9]), np.array([9]))
    assert found.constant.all()
    assert (found.bias, found.multiplier, found.shift, found.differing) == (7, 1, 0, 0)


@pytest.mark.parametrize(
    ("own", "clamp", "form", "zero"),
    [
        (grid(zero_point=-128), None, "u8", 0),
        (grid(zero_point=0), None, "s8", 0),
        (grid(zero_point=83), None, "s8", 83),
        (grid(zero_point=-20), (-20, 127), "u8", 0),
        (grid(zero_point=0, signed=False), None, "u8", 0),
        (grid(zero_point=128, signed=False), None, "s8", 0),
        (grid(bits=4, narrow=True), None, "s4", 0),
    ],
)
def test_a_grid_is_held_so_that_its_zero_is_0_if_it_can_be(own, clamp, form, zero):
    found = held(own, clamp)
    assert (str(found.form), found.zero) == (form, zero)
    values = np.arange(found.lowest, found.highest + 1)
    assert (found.of_file(found.to_file(values)) == values).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_int8_network_is_within_a_few_steps_of_the_kernels(seed):
    found = graph_of(parse_model(int8_cnn(seed)), "net")
    lowered = lower(found, ReferenceKernels())
    images = np.random.default_rng(9).integers(0, 256, (40, 2, 9, 7))
    own, right = integers(lowered, images), run_integers(found, images - 128)
    for tensor, values in own.items():
        differs = np.abs(values - right[tensor])
        assert differs.max() <= 2, tensor
        assert np.count_nonzero(differs) <= 0.06 * differs.size, tensor
    assert (own["input"] == right["input"]).all()
    assert lowered.network.layers[0].name == "conv_2d_0_border"
    assert "channels of the zero point 211, " in lowered.notes[1]


def test_weights_are_taken_over_as_they_are():
    found = graph_of(parse_model(int8_cnn()), "net")
    layers = {layer.name: layer for layer in lower(found, ReferenceKernels()).network.convs}
    for operator in found.operators:
        if isinstance(operator, n.Convolution) and operator.name != "conv_2d_0":
            own = layers[operator.name].weight
            rows = own.any(axis=(1, 2, 3))  # channels that are constant have no weights
            assert (own[rows] == operator.weight.values[rows]).all()


def test_padding_of_a_depthwise_layer_with_a_zero_point():
    b = Int8Builder(np.random.default_rng(3), (1, 5, 4, 3), 83)
    y = b.conv(b.image, 6, (3, 3), zero_point=-9, depthwise=True)
    found = graph_of(parse_model(b.file.written([b.image], [y])), "net")
    lowered = lower(found, ReferenceKernels())
    images = np.random.default_rng(9).integers(0, 256, (20, 3, 5, 4))
    own, right = integers(lowered, images), run_integers(found, images - 128)
    assert np.abs(own[found.output] - right[found.output]).max() <= 1
    assert lowered.network.shapes()["depthwise_conv_2d_0_border"][0] == 2 * 3


def test_powers_of_two_are_exact():
    rng = np.random.default_rng(0)
    tensors = {"input": ((2, 6, 6), grid(1 / 256, 0, signed=False))}
    tensors |= {"a": ((4, 6, 6), grid(1 / 16, 0, signed=False)), "b": ((4, 6, 6), grid(0.5))}
    tensors |= {"c": ((4, 6, 6), grid(0.25))}
    operators = [
        n.Convolution(
            name=name,
            inputs=(source,),
            output=name,
            weight=weights(rng.integers(-127, 128, (4, channels, 3, 3)), 1 / 64),
            bias=n.Constant("b", rng.integers(-99, 99, 4), grid(scale, 0, 32)),
            padding=(1, 1, 1, 1),
        )
        for name, source, channels, scale in (("a", "input", 2, 2**-14), ("b", "a", 4, 2**-10))
    ]
    operators.append(n.Add(name="c", inputs=("a", "b"), output="c"))
    for rounding in n.quantization.ROUNDINGS[:2]:
        found = {
            name: (shape, grid(float(g.scale), 0, 8, g.signed, rounding=rounding))
            for name, (shape, g) in tensors.items()
        }
        graph = chain(operators, found)
        lowered = lower(graph, RealKernels())
        differing = {one.layer: one.differing for one in lowered.fits}
        images = rng.integers(0, 256, (10, 2, 6, 6))
        right = evaluate(graph, images / 256)
        own = integers(lowered, images)
        for tensor, values in own.items():
            scale = float(found[tensor][1].scale)
            differs = np.count_nonzero(values * scale != right[tensor])
            assert differs == 0 or differing[tensor] > 0
        if rounding == "half_up":
            assert not any(differing.values())


def bipolar_net(rng, bits):
    """Return a perceptron as QONNX files have it: BatchNorm between sums and quantizers."""
    grids = {
        "bipolar": {"bits": 1, "bipolar": True},
        "ternary": {"bits": 2, "narrow": True},
        "four": {"bits": 4},
    }[bits]
    tensors = {"input": ((1, 4, 4),), "flat": ((16, 1, 1),), "v": ((16, 1, 1),)}
    ones = np.ones((1, 1, 1))
    operators = [
        n.Flatten(name="flat", inputs=("input",), output="flat"),
        n.Affine(
            name="v",
            inputs=("flat",),
            output="v",
            scale=n.Constant("", 2 * ones),
            shift=n.Constant("", -ones),
        ),
        n.Quantize(name="q0", inputs=("v",), output="q0"),
    ]
    tensors["q0"] = ((16, 1, 1), grid(**grids))
    source, count = "q0", 16
    for at, outputs in enumerate((12, 8)):
        values = rng.integers(-1, 2, (outputs, count))
        if bits == "bipolar":
            values = np.where(values >= 0, 1, -1)
        sums, normal, out = f"sum{at}", f"norm{at}", f"q{at + 1}"
        operators.append(
            n.Linear(name=sums, inputs=(source,), output=sums, weight=weights(values, 1.0, 8))
        )
        scale = rng.normal(size=(outputs, 1, 1)) * 0.4
        shift = rng.normal(size=(outputs, 1, 1))
        operators.append(
            n.Affine(
                name=normal,
                inputs=(sums,),
                output=normal,
                scale=n.Constant("", scale),
                shift=n.Constant("", shift),
            )
        )
        operators.append(n.Quantize(name=out, inputs=(normal,), output=out))
        tensors |= {sums: ((outputs, 1, 1),), normal: ((outputs, 1, 1),)}
        tensors[out] = ((outputs, 1, 1), grid(**grids))
        source, count = out, outputs
    values = rng.integers(-1, 2, (5, count))
    operators.append(
        n.Linear(name="scores", inputs=(source,), output="scores", weight=weights(values, 1.0, 8))
    )
    operators.append(
        n.Affine(
            name="end",
            inputs=("scores",),
            output="end",
            scale=n.Constant("", 0.37 * ones),
            shift=n.Constant("", 0.2 * ones),
        )
    )
    tensors |= {"scores": ((5, 1, 1),), "end": ((5, 1, 1),)}
    return chain(operators, tensors)


@pytest.mark.parametrize("bits", ["bipolar", "ternary", "four"])
@pytest.mark.parametrize("seed", range(4))
def test_few_bits_between_normalisations_are_exact(bits, seed):
    rng = np.random.default_rng(seed)
    graph = bipolar_net(rng, bits)
    lowered = lower(graph, RealKernels())
    images = rng.integers(0, 256, (60, 1, 4, 4))
    own, right = integers(lowered, images), evaluate(graph, images / 255)
    assert [one for one in lowered.fits if one.differing] == []
    for tensor in ("q1", "q2"):
        assert (own[tensor].reshape(60, -1) == right[tensor].reshape(60, -1)).all()
    assert (own["scores"] == np.rint(right["scores"])).all()
    assert "arithmetic at the end that is the same for all scores is left out" in lowered.notes


@pytest.mark.parametrize(("low", "high"), [(-5, 5), (0, 100), (-128, 100), (-20, 127), (-3, 127)])
@pytest.mark.parametrize("kind", ["convolution", "add"])
def test_bounds_inside_of_a_format_take_layers_of_their_own(kind, low, high):
    rng = np.random.default_rng(1)
    tensors = {"input": ((2, 5, 5), grid(1.0, 0, signed=False)), "a": ((2, 5, 5), grid())}
    tensors["out"] = ((2, 5, 5), grid(zero_point=-3 if low == -3 else 0))
    operators = [
        n.Convolution(
            name="a",
            inputs=("input",),
            output="a",
            weight=weights(rng.integers(-3, 4, (2, 2, 1, 1))),
            clamp=(low, high) if kind == "convolution" else None,
        )
    ]
    if kind == "add":
        operators.append(n.Add(name="out", inputs=("a", "input"), output="out", clamp=(low, high)))
    else:
        operators.append(n.Clip(name="out", inputs=("a",), output="out"))
    graph = chain(operators, tensors)
    images = rng.integers(0, 256, (30, 2, 5, 5))
    own, right = integers(lower(graph, RealKernels()), images), evaluate(graph, images)
    zero = int(tensors["out"][1].zero_point)
    assert (own["out"] - zero == right["out"]).all()
    assert own[operators[-1].inputs[0]].size


def test_all_operators_without_a_layer_are_named_at_once():
    tensors = {"input": ((2, 9, 9), grid(1.0, 0, signed=False)), "a": ((2, 3, 3), grid())}
    tensors |= {"b": ((2, 5, 9), grid(1.0, 0, signed=False)), "c": ((2, 3, 3), grid())}
    operators = [
        n.Convolution(
            name="a",
            inputs=("input",),
            output="a",
            weight=weights(np.ones((2, 2, 3, 3), int)),
            stride=(3, 3),
        ),
        n.MaxPooling(name="b", inputs=("input",), output="b", kernel=(3, 1), dilation=(2, 1)),
        n.AveragePooling(name="c", inputs=("a",), output="c", kernel=(3, 3), padding=(1, 1, 1, 1)),
    ]
    with pytest.raises(SqhwError) as error:
        lower(chain(operators, tensors), RealKernels())
    assert str(error.value) == (
        "Convolution 'a' has stride (3, 3) (use 1 or 2 to the right, and down the same, or "
        "a multiple of it without padding); "
        "MaxPooling 'b' has dilation (2, 1) (use a window without dilation)"
    )


def convolution(name, source, values, **more):
    return n.Convolution(name=name, inputs=(source,), output=name, weight=weights(values), **more)


@pytest.mark.parametrize("case", ["two layers", "three layers", "others read them", "other grids"])
def test_concatenations_are_exact(case):
    rng = np.random.default_rng(3)
    half_up = {"rounding": "half_up"}  # as the engine rounds
    out, other = grid(4.0, 0, signed=False, **half_up), grid(8.0, -3, **half_up)
    tensors = {"input": ((2, 6, 5), grid(1.0, 0, signed=False))}
    operators = []
    for name, outputs in (("a", 3), ("b", 2), ("c", 4)):
        padding = (1, 1, 1, 1) if name == "b" else (0, 0, 0, 0)
        size = 3 if name == "b" else 1
        values = rng.integers(-3, 4, (outputs, 2, size, size))
        operators.append(convolution(name, "input", values, padding=padding))
        tensors[name] = ((outputs, 6, 5), other if (case, name) == ("other grids", "b") else out)
    names = ("a", "b") if case == "two layers" else ("b", "c", "a")
    channels = sum(tensors[name][0][0] for name in names)
    operators = [operator for operator in operators if operator.name in names]
    operators.append(n.Concatenation(name="j", inputs=names, output="j"))
    tensors["j"] = ((channels, 6, 5), out)
    if case == "others read them":
        pooled = {"kernel": (3, 3), "padding": (1, 1, 1, 1)}
        operators.append(n.MaxPooling(name="p", inputs=("a",), output="p", **pooled))
        operators.append(n.Concatenation(name="k", inputs=("p", "j", "p"), output="k"))
        tensors |= {"p": ((3, 6, 5), out), "k": ((channels + 6, 6, 5), out)}
    source = operators[-1].output
    values = rng.integers(-2, 3, (3, tensors[source][0][0], 2, 2))
    operators.append(convolution("end", source, values))
    tensors["end"] = ((3, 5, 4), grid(32.0, 5, **half_up))
    graph = chain(operators, tensors)
    lowered = lower(graph, RealKernels())
    images = rng.integers(0, 256, (5, 2, 6, 5))
    own, right = integers(lowered, images), evaluate(graph, images)
    assert "end" in own
    if case == "two layers":
        assert len(lowered.network.layers) == 3
    for tensor, found in own.items():
        assert (tensors[tensor][1].reals(found) == right[tensor]).all(), tensor


def test_padded_maxima_of_negative_values_are_exact():
    rng = np.random.default_rng(4)
    own, last = (grid(scale, zero, rounding="half_up") for scale, zero in ((8.0, 2), (64.0, 0)))
    tensors = {"input": ((2, 6, 5), grid(1.0, 0, signed=False)), "a": ((3, 6, 5), own)}
    tensors |= {"p": ((3, 3, 3), own), "end": ((2, 3, 3), last)}
    operators = [
        convolution("a", "input", rng.integers(-3, 1, (3, 2, 1, 1))),
        n.MaxPooling(
            name="p", inputs=("a",), output="p", kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1)
        ),
        convolution("end", "p", rng.integers(-3, 4, (2, 3, 1, 1))),
    ]
    graph = chain(operators, tensors)
    lowered = lower(graph, RealKernels())
    images = rng.integers(0, 256, (5, 2, 6, 5))
    own, right = integers(lowered, images), evaluate(graph, images)
    for tensor in ("p", "end"):
        assert (tensors[tensor][1].reals(own[tensor]) == right[tensor]).all(), tensor
    assert any("move the values of a padded maximum" in note for note in lowered.notes)

"""The neutral graph: what it refuses, its grids, and its arithmetic against PyTorch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sqhw.errors import SqhwError
from sqhw.frontends import neutral as n
from sqhw.frontends.neutral.evaluate import evaluate


def constant(values, quantization=None):
    return n.Constant("c", np.asarray(values), quantization)


def graph_of(operator, *shapes, out=None, quantization=None):
    inputs = ("x", *(f"y{at}" for at in range(1, len(shapes))))
    doubled = [
        n.Affine(
            name=name,
            inputs=("x",),
            output=name,
            scale=constant(np.full((1, 1, 1), 2.0)),
            shift=constant(np.zeros((1, 1, 1))),
        )
        for name in inputs[1:]
    ]
    tensors = {name: n.Tensor(shape) for name, shape in zip(inputs, shapes, strict=True)}
    tensors["out"] = n.Tensor(out or operator.output_shape(*shapes), quantization)
    return n.Graph("net", "test", "x", "out", tensors, (*doubled, operator))


def run(operator, x):
    graph = graph_of(operator, x.shape[1:])
    return evaluate(graph, x)["out"]


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_is_that_of_torch(groups):
    rng = np.random.default_rng(0)
    x, weight, bias = (
        rng.normal(size=size) for size in ((2, 4, 9, 8), (6, 4 // groups, 3, 2), (6,))
    )
    operator = n.Convolution(
        name="conv",
        inputs=("x",),
        output="out",
        weight=constant(weight),
        bias=constant(bias),
        stride=(2, 1),
        padding=(1, 1, 2, 2),
        dilation=(2, 3),
        groups=groups,
    )
    x_, weight_, bias_ = map(torch.from_numpy, (x, weight, bias))
    right = functional.conv2d(x_, weight_, bias_, (2, 1), (1, 2), (2, 3), groups)
    np.testing.assert_allclose(run(operator, x), right.numpy(), atol=1e-12)


@pytest.mark.parametrize("counted", [False, True])
def test_poolings_are_those_of_torch(counted):
    x = np.random.default_rng(1).normal(size=(2, 3, 7, 9))
    geometry = {"name": "p", "inputs": ("x",), "output": "out", "kernel": (3, 2), "stride": (2, 2)}
    padding = (1, 1, 1, 1)
    average = n.AveragePooling(
        **geometry, padding=padding, counted=padding if counted else (0, 0, 0, 0)
    )
    x_ = torch.from_numpy(x)
    right = functional.avg_pool2d(x_, (3, 2), 2, 1, count_include_pad=counted)
    np.testing.assert_allclose(run(average, x), right.numpy(), atol=1e-12)
    maximum = run(n.MaxPooling(**geometry, padding=padding), x)
    assert np.array_equal(maximum, functional.max_pool2d(x_, (3, 2), 2, 1).numpy())


def test_flatten_and_unflatten_keep_the_order():
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    for last in (False, True):
        flat = run(n.Flatten(name="f", inputs=("x",), output="out", channels_last=last), x)
        order = x.transpose(0, 2, 3, 1) if last else x
        assert np.array_equal(flat.ravel(), order.ravel())
        back = n.Unflatten(
            name="u", inputs=("x",), output="out", shape=(2, 3, 4), channels_last=last
        )
        assert np.array_equal(run(back, flat), x)


def test_integers_round_and_clamp_as_they_say():
    values = np.array([-2.5, -0.5, 0.5, 1.5, 9.0])
    rounded = {
        "half_even": [-2, 0, 0, 2, 7],
        "half_up": [-2, 0, 1, 2, 7],
        "half_away": [-3, -1, 1, 2, 7],
        "floor": [-3, -1, 0, 1, 7],
        "ceil": [-2, 0, 1, 2, 7],
        "to_zero": [-2, 0, 0, 1, 7],
    }
    for rounding, right in rounded.items():
        grid = n.Quantization(1.0, 0, 4, True, rounding=rounding)
        assert grid.integers(values).tolist() == right
    signs = n.Quantization(0.5, 0, 1, True, bipolar=True)
    assert signs.reals(signs.integers(values)).tolist() == [-0.5, -0.5, 0.5, 0.5, 0.5]
    assert (n.Quantization(1, 0, 3, True, narrow=True).lo, n.Quantization(1, 0, 3, True).lo) == (
        -3,
        -4,
    )
    assert n.Quantization(1, 0, 3, False, narrow=True).hi == 6
    channels = n.Quantization([1.0, 0.5], [0, 3], 8, False, axis=1)
    found = channels.integers(np.array([[2.0, 2.0]]))
    assert (found.tolist(), channels.reals(found).tolist()) == ([[2, 7]], [[2.0, 2.0]])


def test_a_fused_activation_clamps_integers():
    grid = n.Quantization(0.5, -2, 8, True)
    operator = n.Quantize(name="q", inputs=("x",), output="out", clamp=(-2, 4))
    graph = graph_of(operator, (1, 1, 3), quantization=grid)
    found = evaluate(graph, np.array([[[[-1.0, 0.6, 8.0]]]]))["out"]
    assert found.ravel().tolist() == [0.0, 0.5, 3.0]
    assert graph.quantized


def test_a_rounding_becomes_part_of_the_operator_before_it():
    grid = n.Quantization(0.25, 0, 8, True)
    layer = n.Linear(name="fc", inputs=("x",), output="raw", weight=constant([[2.0, 1.0]]))
    rounding = n.Quantize(name="q", inputs=("raw",), output="out", clamp=(0, 9))
    tensors = {
        "x": n.Tensor((2, 1, 1)),
        "raw": n.Tensor((1, 1, 1)),
        "out": n.Tensor((1, 1, 1), grid),
    }
    graph = n.Graph("net", "test", "x", "out", tensors, (layer, rounding))
    merged = graph.merged()
    (only,) = merged.operators
    assert (only.name, only.output, only.clamp) == ("fc", "out", (0, 9))
    assert sorted(merged.tensors) == ["out", "x"]
    x = np.random.default_rng(2).normal(size=(5, 2, 1, 1))
    assert np.array_equal(evaluate(graph, x)["out"], evaluate(merged, x)["out"])


def test_wrong_graphs_are_refused_by_name():
    fc = n.Linear(name="fc", inputs=("x",), output="out", weight=constant(np.ones((2, 3))))
    with pytest.raises(SqhwError, match=r"layer 'fc': its weights are for 3 values"):
        graph_of(fc, (4, 1, 1), out=(2, 1, 1))
    with pytest.raises(SqhwError, match=r"layer 'fc': makes a tensor of \(2, 1, 1\)"):
        graph_of(fc, (3, 1, 1), out=(4, 1, 1))
    late = n.Clip(name="relu", inputs=("later",), output="out", low=0.0)
    with pytest.raises(SqhwError, match="reads tensor 'later', which no earlier layer makes"):
        n.Graph("net", "test", "x", "out", dict.fromkeys("x", n.Tensor((1, 1, 1))), (late,))
    with pytest.raises(SqhwError, match="not finite"):
        constant([np.nan])
    with pytest.raises(SqhwError, match="integers must be -4 to 3, found 0 to 4"):
        constant(np.arange(5), n.Quantization(1, 0, 3, True))
    with pytest.raises(SqhwError, match="at most 16,777,216"):
        graph_of(n.Clip(name="r", inputs=("x",), output="out", low=0.0), (1 << 16, 1 << 10, 1))


def test_all_problems_are_in_one_sentence():
    n.refuse([])
    with pytest.raises(SqhwError) as caught:
        n.refuse(
            [
                n.Problem("/act", "LeakyRelu", "is not supported", "train with ReLU"),
                n.Problem("/gru", "GRU", "is not supported"),
                n.Problem("/act2", "LeakyRelu", "is not supported", "train with ReLU"),
            ]
        )
    assert str(caught.value) == (
        "LeakyRelu '/act' is not supported (train with ReLU), also '/act2'; "
        "GRU '/gru' is not supported"
    )

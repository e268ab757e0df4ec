"""Batch normalisations and arithmetic with constants: a factor and a summand a channel."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from sqhw.errors import SqhwError
from sqhw.frontends.folding.view import Doubles, View
from sqhw.frontends.torch_module.builder import Builder
from sqhw.frontends.torch_module.calls import BatchNormCall
from sqhw.frontends.torch_module.facts import Images
from sqhw.frontends.torch_module.supported import doubles, title, unsupported

_ONE, _ZERO = np.ones((1, 1, 1)), np.zeros((1, 1, 1))


def norm(build: Builder, node: fx.Node, x: View, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> View:
    """Apply a batch normalisation in eval mode."""
    what = type(layer).__name__
    if isinstance(layer, nn.BatchNorm1d) != x.flat:
        raise unsupported(
            node,
            f"{what} {'after' if x.flat else 'before'} Flatten",
            f"use {'BatchNorm1d' if x.flat else 'BatchNorm2d'}",
        )
    if layer.running_mean is None or layer.running_var is None:
        raise unsupported(
            node, f"{what} without running statistics", "train it with track_running_stats=True"
        )
    return _normalised(
        build,
        node,
        x,
        what,
        (layer.running_mean, layer.running_var, layer.weight, layer.bias),
        layer.eps,
    )


def batch_norm(build: Builder, node: fx.Node, x: View, call: BatchNormCall) -> View:
    """Apply `torch.nn.functional.batch_norm` without training."""
    if call.training or call.running_mean is None or call.running_var is None:
        raise unsupported(
            node,
            "batch_norm with training=True, which mixes the images of a batch,",
            "pass training=self.training and running statistics",
        )
    values = (call.running_mean, call.running_var, call.weight, call.bias)
    return _normalised(build, node, x, "batch_norm", values, call.eps)


def _normalised(
    build: Builder,
    node: fx.Node,
    x: View,
    what: str,
    values: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    eps: float,
) -> View:
    mean, variance, weight, bias = values
    features = x.size[0]
    if len(mean) != features:
        raise SqhwError(
            f"layer {title(node)!r}: {what} takes {len(mean)} channels, "
            f"its input {x.shape} has {features}"
        )
    gain = torch.rsqrt(doubles(node, "running_var", variance) + eps)
    if weight is not None:
        gain = gain * doubles(node, "weight", weight)
    shift = -doubles(node, "running_mean", mean) * gain
    if bias is not None:
        shift = shift + doubles(node, "bias", bias)
    scale, offset = (
        _shaped(node, value.view(-1, *(1,) * (len(x.size) - 1)), x) for value in (gain, shift)
    )
    return build.affine(node, x, scale, offset)


def add(build: Builder, node: fx.Node, a: Any, b: Any, *, alpha: Any = 1) -> View:
    """Add two values, or a constant."""
    if isinstance(a, View) and isinstance(b, View):
        if alpha != 1:
            raise unsupported(node, f"an addition with alpha {alpha}")
        return build.add(node, a, b)
    if isinstance(a, View):
        return build.affine(node, a, _ONE, _constant(node, b, a) * alpha)
    return build.affine(node, b, _ONE * alpha, _constant(node, a, b))


def subtract(build: Builder, node: fx.Node, a: Any, b: Any, *, alpha: Any = 1) -> View:
    """Subtract a constant from a value, or a value from a constant."""
    if isinstance(a, View) and isinstance(b, View):
        raise unsupported(
            node, "a difference of two values", "change the sign of the weights and add"
        )
    if isinstance(a, View):
        return build.affine(node, a, _ONE, -_constant(node, b, a) * alpha)
    return build.affine(node, b, -_ONE * alpha, _constant(node, a, b))


def multiply(build: Builder, node: fx.Node, a: Any, b: Any) -> View:
    """Multiply a value by a constant."""
    if isinstance(a, View) and isinstance(b, View):
        raise unsupported(
            node,
            "a product of two values (attention, squeeze and excite)",
            "write x * sigmoid(x) as nn.SiLU, x * hardsigmoid(x) as nn.Hardswish",
        )
    x, factor = (a, b) if isinstance(a, View) else (b, a)
    return build.affine(node, x, _constant(node, factor, x), _ZERO)


def divide(build: Builder, node: fx.Node, a: Any, b: Any, *, rounding_mode: Any = None) -> View:
    """Divide a value by a constant."""
    if not isinstance(a, View) or isinstance(b, View):
        raise unsupported(node, "division by a computed value")
    if rounding_mode is not None:
        raise unsupported(node, f"division with rounding_mode {rounding_mode!r}")
    with np.errstate(divide="ignore"):
        return build.affine(node, a, 1 / _constant(node, b, a), _ZERO)


def negate(build: Builder, node: fx.Node, x: View) -> View:
    """Change the sign."""
    return build.affine(node, x, -_ONE, _ZERO)


def _constant(node: fx.Node, value: Any, x: View) -> Doubles:
    """Return a constant, shape (channels or 1, 1, 1), or that of `x` if pixels differ."""
    if isinstance(value, Images):
        raise unsupported(node, "arithmetic on the number of images")
    if not isinstance(value, int | float | Tensor):
        raise unsupported(node, f"arithmetic with a {type(value).__name__}")
    return _shaped(node, doubles(node, "constant", torch.as_tensor(value)), x)


def _shaped(node: fx.Node, tensor: Tensor, x: View) -> Doubles:
    """Return a constant that is applied to a value, with three dimensions."""
    size = x.size
    own = tuple(tensor.shape)
    if len(own) > len(size):
        if own[: len(own) - len(size)] != (1,):
            raise unsupported(node, f"arithmetic of a tensor {tuple(size)} with one {own}")
        own = own[1:]
    own = (1,) * (len(size) - len(own)) + own
    if any(a not in (1, b) for a, b in zip(own, size, strict=True)):
        raise unsupported(node, f"arithmetic of a tensor {tuple(size)} with one {own}")
    values: Doubles = tensor.reshape(own).numpy()
    if x.flat:
        values = values.reshape(x.shape if own[0] > 1 else (1, 1, 1))
    first = values[:, :1, :1]
    same = np.array_equal(values, np.broadcast_to(first, values.shape), equal_nan=True)
    return first if same else np.broadcast_to(values, x.shape)

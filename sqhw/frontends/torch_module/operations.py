"""What each torch module, function and method means for the network that is being made."""

import inspect
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from sqhw.errors import SqhwError
from sqhw.frontends.folding.concatenation import concatenated
from sqhw.frontends.folding.convolution import Convolution, spread
from sqhw.frontends.folding.view import View
from sqhw.frontends.torch_module import activations, arithmetic, pooling
from sqhw.frontends.torch_module.builder import Builder, trained
from sqhw.frontends.torch_module.calls import (
    AvgPool2dCall,
    BatchNormCall,
    Call,
    Conv2dCall,
    MaxPool2dCall,
)
from sqhw.frontends.torch_module.pooling import pair
from sqhw.frontends.torch_module.supported import (
    described,
    layer_type,
    title,
    unsupported,
)
from sqhw.network.graph import Padding

Handler = Callable[..., View]


def apply(build: Builder, node: fx.Node, layer: nn.Module | None, args: Any, kwargs: Any) -> View:
    """Do what a traced node does.

    Parameters
    ----------
    build : Builder
    node : fx.Node
    layer : nn.Module, optional
        The module that the node calls.
    args, kwargs : tuple and dict
        Arguments of the call; tensors are `View` objects, or `torch.Tensor` if they are constants.

    Returns
    -------
    View
        What the node's value shows.

    Raises
    ------
    SqhwError
        If it is not supported.
    """
    what = described(node, layer)
    if "input" in kwargs:  # what torch calls the first argument
        kwargs = dict(kwargs)
        args = (kwargs.pop("input"), *args)
    if layer is None:
        handler = ARITHMETIC.get(node.target) or JOINS.get(node.target)
        if handler is None and args and isinstance(args[0], View):
            handler = CALLS.get(node.target)
    else:
        handler = MODULES.get(layer_type(layer))
        args = (*args, layer)
    if handler is None:
        raise unsupported(node, what)
    try:
        if call := RECORDS.get(handler):
            args, kwargs = (args[0], call(*args[1:], **kwargs)), {}
        bound = inspect.signature(handler).bind(build, node, *args, **kwargs)
    except TypeError:
        raise unsupported(node, f"{what} with these arguments") from None
    return handler(*bound.args, **bound.kwargs)


def _same(_build: Builder, _node: fx.Node, x: View, *_: Any, **__: Any) -> View:
    return x


def _dropout(
    _build: Builder,
    node: fx.Node,
    x: View,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> View:
    if training and p > 0:
        name = getattr(node.target, "__name__", str(node.target))
        raise SqhwError(
            f"layer {title(node)!r}: {name} with training=True drops in eval mode too; pass "
            "training=self.training, or use nn.Dropout"
        )
    return x


def _conv(build: Builder, node: fx.Node, x: View, layer: nn.Conv2d) -> View:
    if layer.padding_mode != "zeros" and any(
        _padding(layer.padding, layer.weight, pair(layer.dilation))
    ):
        raise unsupported(
            node, f"Conv2d with padding mode {layer.padding_mode!r}", "pad with zeros"
        )
    return _conv2d(build, node, x, Conv2dCall.of(layer))


def _conv2d(build: Builder, node: fx.Node, x: View, call: Conv2dCall) -> View:
    weight, dilation = call.weight, pair(call.dilation)
    channels = weight.shape[1] * call.groups
    if channels != x.shape[0]:
        raise SqhwError(
            f"layer {title(node)!r}: Conv2d takes {channels} channels, "
            f"its input {x.shape} has {x.shape[0]}"
        )
    padding = _padding(call.padding, weight, dilation)
    conv = _trained(
        node, weight, call.bias, stride=pair(call.stride), padding=padding, groups=call.groups
    )
    return build.conv(node, x, replace(conv, weight=spread(conv.weight, dilation)))


def _trained(node: fx.Node, weight: Tensor, bias: Tensor | None, **geometry: Any) -> Convolution:
    offset = None if bias is None else trained(node, "bias", bias)
    return Convolution(trained(node, "weight", weight), offset, **geometry)


def _padding(padding: Any, weight: Tensor, dilation: tuple[int, int]) -> Padding:
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":  # torch puts the odd zero at the bottom and right
        high, wide = (
            (size - 1) * gap for size, gap in zip(weight.shape[2:], dilation, strict=True)
        )
        return high // 2, high - high // 2, wide // 2, wide - wide // 2
    high, wide = pair(padding)
    return high, high, wide, wide


def _linear(
    build: Builder, node: fx.Node, x: View, weight: Tensor, bias: Tensor | None = None
) -> View:
    channels, height, width = x.shape
    if not x.flat:
        raise unsupported(
            node, "Linear without a Flatten before it", "write x.flatten(1) before it"
        )
    if weight.shape[1] != channels * height * width:
        raise SqhwError(
            f"layer {title(node)!r}: Linear takes {weight.shape[1]} values, "
            f"its input {x.shape} has {channels * height * width}"
        )
    weight = weight.reshape(-1, channels, height, width)  # torch flattens C, H, W
    made = build.conv(node, x, _trained(node, weight, bias, kind="linear"))
    return View(made.tensor, made.shape, flat=True)


def _cat(build: Builder, node: fx.Node, tensors: Any, dim: Any = 0) -> View:
    parts = list(tensors)
    if dim not in (1, -len(parts[0].size)) or not all(isinstance(part, View) for part in parts):
        raise unsupported(node, f"a concatenation along dimension {dim}, other than the channels,")
    return concatenated(build, node, parts)


def _mean(build: Builder, node: fx.Node, x: View, dim: Any = None, keepdim: bool = False) -> View:
    dims = sorted(int(d) % 4 for d in dim) if isinstance(dim, tuple | list) else None
    if x.flat or dims != [2, 3]:
        raise unsupported(node, f"a mean over {dim}, other than height and width (2, 3),")
    made = pooling.global_average(build, node, x)
    return made if keepdim else replace(made, flat=True)


def _flatten(build: Builder, node: fx.Node, x: View, start_dim: int = 0, end_dim: int = -1) -> View:
    if start_dim != 1 or end_dim not in (-1, len(x.size)):
        raise unsupported(node, "flatten of other than all dimensions from 1 on")
    if x.padded or not x.whole:
        raise unsupported(node, "flatten of a padded or sliced tensor")
    return replace(x, flat=True)


def _reshape(build: Builder, node: fx.Node, x: View, *sizes: Any, shape: Any = None) -> View:
    sizes = sizes if shape is None else (shape,)
    wanted = tuple(sizes[0]) if sizes and isinstance(sizes[0], tuple | list) else sizes
    if x.flat and wanted in ((-1, *x.shape), (-1, -1, *x.shape[1:])) and x.shape[1:] == (1, 1):
        return replace(x, flat=False)
    values = x.shape[0] * x.shape[1] * x.shape[2]
    if wanted not in ((-1, -1), (-1, values)):
        raise unsupported(node, f"a view of {wanted}, other than (n, -1),", "write x.flatten(1)")
    return _flatten(build, node, x, 1)


def _pad(
    build: Builder, node: fx.Node, x: View, pad: Any, mode: str = "constant", value: Any = None
) -> View:
    x = build.settle(node, x)
    pads = tuple(int(p) for p in pad)
    if mode != "constant" or value not in (None, 0):
        raise unsupported(node, f"padding of mode {mode!r} with {value}, other than zeros,")
    if x.flat or len(pads) not in (2, 4, 6) or min(pads) < 0:
        raise unsupported(node, f"padding by {pads}")
    left, right, top, bottom, before, behind = pads + (0,) * (6 - len(pads))
    if (left, right, top, bottom) != (0, 0, 0, 0) and not x.whole:
        raise unsupported(node, "padding of other than a Conv2d's input")
    return x.with_zeros((top, bottom, left, right), (before, behind))


def _index(build: Builder, node: fx.Node, x: View, index: Any) -> View:
    x = build.settle(node, x)
    every, other = slice(None), slice(None, None, 2)
    parts = index if isinstance(index, tuple) else (index,)
    parts = (every, every, *parts[1:]) if parts[:1] == (Ellipsis,) else parts
    plain = tuple(
        slice(None, part.stop, None if part.step == 1 else part.step)
        if isinstance(part, slice) and part.start in (None, 0)
        else part
        for part in parts
    )
    if plain != (every, every, other, other) or x.flat or x.padded or x.stride != 1:
        raise unsupported(node, "an index other than [:, :, ::2, ::2]")
    return x.subsampled()


#: Modules by their exact type, as a subclass may compute something else.
MODULES: dict[type[nn.Module], Handler] = {
    nn.Conv2d: _conv,
    nn.Linear: lambda build, node, x, layer: _linear(build, node, x, layer.weight, layer.bias),
    nn.BatchNorm1d: arithmetic.norm,
    nn.BatchNorm2d: arithmetic.norm,
    nn.ReLU: lambda build, node, x, layer: activations.relu(build, node, x),
    nn.ReLU6: lambda build, node, x, layer: activations.relu6(build, node, x),
    nn.Hardtanh: lambda build, node, x, layer: activations.clamp(
        build, node, x, layer.min_val, layer.max_val
    ),
    nn.LeakyReLU: lambda build, node, x, layer: activations.leaky_relu(
        build, node, x, layer.negative_slope
    ),
    nn.PReLU: lambda build, node, x, layer: activations.prelu(build, node, x, layer.weight),
    nn.Hardsigmoid: lambda build, node, x, layer: activations.hard_sigmoid(build, node, x),
    nn.MaxPool2d: lambda build, node, x, layer: pooling.max_pool(
        build, node, x, MaxPool2dCall.of(layer)
    ),
    nn.AvgPool2d: lambda build, node, x, layer: pooling.avg_pool(
        build, node, x, AvgPool2dCall.of(layer)
    ),
    nn.AdaptiveAvgPool2d: lambda build, node, x, layer: pooling.adaptive_avg_pool(
        build, node, x, layer.output_size
    ),
    nn.AdaptiveMaxPool2d: lambda build, node, x, layer: pooling.adaptive_max_pool(
        build, node, x, layer.output_size, layer.return_indices
    ),
    nn.Softmax: lambda build, node, x, layer: activations.softmax(build, node, x, layer.dim),
    nn.LogSoftmax: lambda build, node, x, layer: activations.softmax(build, node, x, layer.dim),
    nn.Sigmoid: lambda build, node, x, layer: activations.sigmoid(build, node, x),
    nn.ELU: lambda build, node, x, layer: activations.elu(build, node, x, layer.alpha),
    nn.GELU: lambda build, node, x, layer: activations.gelu(build, node, x, layer.approximate),
    nn.Hardswish: lambda build, node, x, layer: build.look_up(node, x, "hard_swish"),
    nn.Mish: lambda build, node, x, layer: build.look_up(node, x, "mish"),
    nn.SiLU: lambda build, node, x, layer: build.look_up(node, x, "silu"),
    nn.Softplus: lambda build, node, x, layer: activations.softplus(
        build, node, x, layer.beta, layer.threshold
    ),
    nn.Tanh: lambda build, node, x, layer: build.look_up(node, x, "tanh"),
    nn.ZeroPad2d: lambda build, node, x, layer: _pad(build, node, x, layer.padding),
    nn.ConstantPad2d: lambda build, node, x, layer: _pad(
        build, node, x, layer.padding, value=layer.value
    ),
    nn.Flatten: lambda build, node, x, layer: _flatten(
        build, node, x, layer.start_dim, layer.end_dim
    ),
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Identity: _same,
}

#: Functions by themselves, methods by name.
CALLS: dict[Any, Handler] = {
    torch.conv2d: _conv2d,
    functional.conv2d: _conv2d,
    functional.linear: _linear,
    torch.relu: activations.relu,
    functional.relu: activations.relu,
    functional.relu6: activations.relu6,
    "relu": activations.relu,
    torch.clamp: activations.clamp,
    torch.clip: activations.clamp,
    "clamp": activations.clamp,
    "clip": activations.clamp,
    "clamp_min": activations.clamp,
    functional.hardtanh: activations.hardtanh,
    functional.leaky_relu: activations.leaky_relu,
    functional.prelu: activations.prelu,
    functional.hardsigmoid: activations.hard_sigmoid,
    torch.max_pool2d: pooling.max_pool,
    functional.max_pool2d: pooling.max_pool,
    functional.avg_pool2d: pooling.avg_pool,
    functional.adaptive_avg_pool2d: pooling.adaptive_avg_pool,
    functional.adaptive_max_pool2d: pooling.adaptive_max_pool,
    functional.batch_norm: arithmetic.batch_norm,
    torch.mean: _mean,
    "mean": _mean,
    torch.softmax: activations.softmax,
    functional.softmax: activations.softmax,
    "softmax": activations.softmax,
    torch.log_softmax: activations.softmax,
    functional.log_softmax: activations.softmax,
    "log_softmax": activations.softmax,
    torch.sigmoid: activations.sigmoid,
    functional.sigmoid: activations.sigmoid,
    "sigmoid": activations.sigmoid,
    torch.tanh: activations.looked_up("tanh"),
    functional.tanh: activations.looked_up("tanh"),
    "tanh": activations.looked_up("tanh"),
    functional.silu: activations.looked_up("silu"),
    functional.mish: activations.looked_up("mish"),
    functional.hardswish: activations.looked_up("hard_swish"),
    functional.elu: activations.elu,
    functional.gelu: activations.gelu,
    functional.softplus: activations.softplus,
    torch.flatten: _flatten,
    "flatten": _flatten,
    torch.reshape: _reshape,
    "reshape": _reshape,
    "view": _reshape,
    functional.dropout: _dropout,
    functional.dropout2d: _dropout,
    "contiguous": _same,
    "float": _same,
    "clone": _same,
    "detach": _same,
    functional.pad: _pad,
    operator.getitem: _index,
}

#: Handlers of functions whose arguments after the input are one record, with its type.
RECORDS: dict[Handler, type[Call]] = {
    _conv2d: Conv2dCall,
    pooling.max_pool: MaxPool2dCall,
    pooling.avg_pool: AvgPool2dCall,
    arithmetic.batch_norm: BatchNormCall,
}

#: Operations on a list of tensors.
JOINS: dict[Any, Handler] = {torch.cat: _cat, torch.concat: _cat}

#: Operations on two operands, either of which may be a constant.
ARITHMETIC: dict[Any, Handler] = {
    operator.add: arithmetic.add,
    torch.add: arithmetic.add,
    "add": arithmetic.add,
    operator.sub: arithmetic.subtract,
    torch.sub: arithmetic.subtract,
    "sub": arithmetic.subtract,
    operator.mul: arithmetic.multiply,
    torch.mul: arithmetic.multiply,
    "mul": arithmetic.multiply,
    operator.truediv: arithmetic.divide,
    torch.div: arithmetic.divide,
    "div": arithmetic.divide,
    operator.neg: arithmetic.negate,
    torch.neg: arithmetic.negate,
    "neg": arithmetic.negate,
}

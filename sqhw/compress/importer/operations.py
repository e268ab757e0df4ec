"""What each torch module, function and method means for the network that is being made."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from sqhw.compress.importer.builder import Builder
from sqhw.compress.importer.supported import title, unsupported
from sqhw.compress.importer.view import View
from sqhw.errors import SqhwError
from sqhw.network import Padding

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
        Of the call; tensors are `View` objects.

    Returns
    -------
    View
        What the node's value shows.

    Raises
    ------
    SqhwError
        If it is not supported.
    """
    what = node.op.replace("_", " ") + " " + getattr(node.target, "__name__", str(node.target))
    if layer is None:
        handler = CALLS.get(node.target)
    else:
        what, handler = type(layer).__name__, MODULES.get(type(layer))
        args = (*args, layer)
    if handler is None or not isinstance(args[0] if args else None, View):
        raise unsupported(node, what)
    try:
        bound = inspect.signature(handler).bind(build, node, *args, **kwargs)
    except TypeError:
        raise unsupported(node, f"{what} with these arguments") from None
    return handler(*bound.args, **bound.kwargs)


def _pair(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value,)
    return int(pair[0]), int(pair[-1])


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
    if layer.dilation != (1, 1):
        raise unsupported(node, f"Conv2d with dilation {layer.dilation}")
    if layer.padding_mode != "zeros":
        raise unsupported(node, f"Conv2d with padding mode {layer.padding_mode!r}")
    if layer.in_channels != x.shape[0]:
        raise SqhwError(
            f"layer {title(node)!r}: Conv2d takes {layer.in_channels} channels, "
            f"its input {x.shape} has {x.shape[0]}"
        )
    return build.conv(
        node,
        x,
        layer.weight,
        layer.bias,
        stride=_pair(layer.stride),
        padding=_padding(layer),
        groups=layer.groups,
    )


def _padding(layer: nn.Conv2d) -> Padding:
    if layer.padding == "valid":
        return 0, 0, 0, 0
    if layer.padding == "same":  # torch puts the odd zero at the bottom and right
        kh, kw = layer.kernel_size
        return (kh - 1) // 2, kh // 2, (kw - 1) // 2, kw // 2
    high, wide = _pair(layer.padding)
    return high, high, wide, wide


def _linear(build: Builder, node: fx.Node, x: View, layer: nn.Linear) -> View:
    channels, height, width = x.shape
    if not x.flat:
        raise unsupported(node, "Linear without a Flatten before it")
    if layer.in_features != channels * height * width:
        raise SqhwError(
            f"layer {title(node)!r}: Linear takes {layer.in_features} values, "
            f"its input {x.shape} has {channels * height * width}"
        )
    weight = layer.weight.reshape(-1, channels, height, width)  # torch flattens C, H, W
    made = build.conv(node, x, weight, layer.bias, kind="linear")
    return View(made.tensor, made.shape, flat=True)


def _relu(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
    return build.activate(node, x, None)


def _relu6(build: Builder, node: fx.Node, x: View, inplace: bool = False) -> View:
    return build.activate(node, x, 6.0)


def _clamp(build: Builder, node: fx.Node, x: View, min: Any = None, max: Any = None) -> View:
    if min != 0 or not (max is None or (isinstance(max, int | float) and max > 0)):
        raise unsupported(node, f"clamp from {min} to {max}")
    return build.activate(node, x, None if max is None else float(max))


def _hardtanh(
    build: Builder,
    node: fx.Node,
    x: View,
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> View:
    return _clamp(build, node, x, min_val, max_val)


def _max_pool(
    build: Builder,
    node: fx.Node,
    x: View,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> View:
    kernel = _pair(kernel_size)
    for setting, value, wanted in (
        ("padding", _pair(padding), (0, 0)),
        ("dilation", _pair(dilation), (1, 1)),
        ("ceil_mode", ceil_mode, False),
        ("return_indices", return_indices, False),
        ("kernel", kernel, (kernel[0], kernel[0])),
    ):
        if value != wanted:
            raise unsupported(node, f"MaxPool2d with {setting} {value}")
    return build.max_pool(node, x, kernel[0], _pair(stride) if stride else kernel)


def _avg_pool(
    build: Builder,
    node: fx.Node,
    x: View,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> View:
    for setting, value, wanted in (
        ("padding", _pair(padding), (0, 0)),
        ("ceil_mode", ceil_mode, False),
        ("divisor_override", divisor_override, None),
    ):
        if value != wanted:
            raise unsupported(node, f"AvgPool2d with {setting} {value}")
    kernel = _pair(kernel_size)
    return build.average(node, x, kernel, _pair(stride) if stride else kernel)


def _adaptive_avg_pool(build: Builder, node: fx.Node, x: View, output_size: Any) -> View:
    size = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * 2
    if size != (1, 1):
        raise unsupported(node, f"AdaptiveAvgPool2d to {size}")
    return _global_average(build, node, x)


def _global_average(build: Builder, node: fx.Node, x: View) -> View:
    window = x.shape[1:]
    return build.average(node, x, window, window)


def _mean(build: Builder, node: fx.Node, x: View, dim: Any = None, keepdim: bool = False) -> View:
    dims = sorted(int(d) % 4 for d in dim) if isinstance(dim, tuple | list) else None
    if x.flat or dims != [2, 3]:
        raise unsupported(node, f"a mean over {dim}, other than height and width (2, 3),")
    made = _global_average(build, node, x)
    return made if keepdim else View(made.tensor, made.shape, flat=True)


def _flatten(build: Builder, node: fx.Node, x: View, start_dim: int = 0, end_dim: int = -1) -> View:
    if start_dim != 1 or end_dim not in (-1, len(x.size) - 1):
        raise unsupported(node, "flatten of other than all dimensions from 1 on")
    if not x.plain:
        raise unsupported(node, "flatten of a padded or sliced tensor")
    return View(x.tensor, x.shape, flat=True)


def _reshape(build: Builder, node: fx.Node, x: View, *shape: Any) -> View:
    wanted = tuple(shape[0]) if shape and isinstance(shape[0], tuple | list) else shape
    values = x.shape[0] * x.shape[1] * x.shape[2]
    if wanted not in ((-1, -1), (-1, values)):
        raise unsupported(node, f"a view of {wanted}, other than (n, -1),")
    return _flatten(build, node, x, 1)


def _add(build: Builder, node: fx.Node, x: View, other: Any, *, alpha: Any = 1) -> View:
    if not isinstance(other, View) or alpha != 1:
        raise unsupported(node, "an addition of other than two tensors")
    return build.add(node, x, other)


def _pad(
    build: Builder, node: fx.Node, x: View, pad: Any, mode: str = "constant", value: Any = None
) -> View:
    pads = tuple(int(p) for p in pad)
    if mode != "constant" or value not in (None, 0):
        raise unsupported(node, f"padding of mode {mode!r} with {value}, other than zeros,")
    if x.flat or len(pads) not in (2, 4, 6) or min(pads) < 0:
        raise unsupported(node, f"padding by {pads}")
    left, right, top, bottom, before, behind = pads + (0,) * (6 - len(pads))
    if (left, right, top, bottom) != (0, 0, 0, 0) and not x.whole:
        raise unsupported(node, "padding of other than a Conv2d's input")
    channels, height, width = x.shape
    high, low, west, east = x.padding
    return View(
        x.tensor,
        (channels + before + behind, height + top + bottom, width + left + right),
        padding=(high + top, low + bottom, west + left, east + right),
        stride=x.stride,
        first=x.first + before,
        widened=x.widened or before + behind > 0,
    )


def _index(build: Builder, node: fx.Node, x: View, index: Any) -> View:
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
    channels, height, width = x.shape
    shape = (channels, (height + 1) // 2, (width + 1) // 2)
    return View(x.tensor, shape, stride=2, first=x.first, widened=x.widened)


# A subclass may compute something else, so the type must be the very one.
MODULES: dict[type[nn.Module], Handler] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm2d: lambda build, node, x, layer: build.norm(node, x, layer),
    nn.ReLU: lambda build, node, x, layer: _relu(build, node, x),
    nn.ReLU6: lambda build, node, x, layer: _relu6(build, node, x),
    nn.Hardtanh: lambda build, node, x, layer: _clamp(build, node, x, layer.min_val, layer.max_val),
    nn.MaxPool2d: lambda build, node, x, layer: _max_pool(
        build,
        node,
        x,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.ceil_mode,
        layer.return_indices,
    ),
    nn.AvgPool2d: lambda build, node, x, layer: _avg_pool(
        build,
        node,
        x,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.ceil_mode,
        layer.count_include_pad,
        layer.divisor_override,
    ),
    nn.AdaptiveAvgPool2d: lambda build, node, x, layer: _adaptive_avg_pool(
        build, node, x, layer.output_size
    ),
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

# Functions by themselves, methods by name.
CALLS: dict[Any, Handler] = {
    torch.relu: _relu,
    torch.relu_: _relu,
    functional.relu: _relu,
    functional.relu6: _relu6,
    "relu": _relu,
    "relu_": _relu,
    torch.clamp: _clamp,
    torch.clip: _clamp,
    "clamp": _clamp,
    "clamp_": _clamp,
    "clip": _clamp,
    functional.hardtanh: _hardtanh,
    torch.max_pool2d: _max_pool,
    functional.max_pool2d: _max_pool,
    functional.avg_pool2d: _avg_pool,
    functional.adaptive_avg_pool2d: _adaptive_avg_pool,
    torch.mean: _mean,
    "mean": _mean,
    torch.flatten: _flatten,
    "flatten": _flatten,
    torch.reshape: _reshape,
    "reshape": _reshape,
    "view": _reshape,
    functional.dropout: _dropout,
    functional.dropout2d: _dropout,
    "contiguous": _same,
    operator.add: _add,
    operator.iadd: _add,
    torch.add: _add,
    "add": _add,
    "add_": _add,
    functional.pad: _pad,
    operator.getitem: _index,
}

"""From a torch module to a float network: a chain of layers, traced with torch.fx."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from sqhw.compress.float_network import FloatConv, FloatLayer, FloatMaxPool, FloatNetwork
from sqhw.errors import SqhwError
from sqhw.network import Padding, Shape

SUPPORTED = (
    "Conv2d (groups 1, dilation 1), BatchNorm2d after a Conv2d, ReLU, MaxPool2d, "
    "Flatten, Linear, Dropout, Identity"
)
_RELU = (torch.relu, functional.relu)
_SKIP = (nn.Dropout, nn.Dropout2d, nn.Identity)


def import_module(
    module: nn.Module,
    input_shape: Shape,
    *,
    name: str = "network",
    input_max: int = 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    metadata: dict[str, str] | None = None,
) -> FloatNetwork:
    """Convert a chain of torch layers.

    Parameters
    ----------
    module : nn.Module
        Maps normalised images to logits. Left as it is.
    input_shape : tuple of int (channels, height, width)
    name : str
    input_max : int
        Largest pixel value.
    mean, std : sequence of float
        Normalisation ``(pixel / input_max - mean) / std`` that the module expects.
    metadata : dict of str to str, optional

    Returns
    -------
    FloatNetwork

    Raises
    ------
    SqhwError
        Naming the layer that is not supported, its type and what is.
    """
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        # Tracing runs the user's forward(): any exception may come out of it.
        raise SqhwError(
            f"network {name!r}: torch.fx cannot trace it ({error}); "
            f"supported is a plain chain of {SUPPORTED}"
        ) from None
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise SqhwError(
            f"network {name!r}: input shape must be (channels, height, width), "
            f"not {tuple(input_shape)}"
        )
    channels, height, width = input_shape
    chain = _Chain((channels, height, width))
    modules = dict(module.named_modules())
    previous: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "placeholder" and previous is None:
            previous = node
            continue
        if node.op == "output":
            break
        inputs = node.all_input_nodes
        if inputs != [previous]:
            raise SqhwError(
                f"layer {_title(node)!r}: it does not read the layer before it alone; "
                f"supported is a plain chain of {SUPPORTED}"
            )
        _add(chain, node, modules)
        previous = node
    return FloatNetwork(
        name=name,
        input_shape=tuple(input_shape),  # type: ignore[arg-type]
        input_max=input_max,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        layers=tuple(chain.layers),
        metadata=dict(metadata or {}),
    )


class _Chain:
    """The layers so far and the shape behind them."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layers: list[FloatLayer] = []
        self.flat = False

    def append(self, layer: FloatLayer) -> None:
        self.layers.append(layer)
        self.shape = layer.output_shape(self.shape)

    def last_conv(self) -> int | None:
        """Return the index of the last convolution if at most pooling stands behind it."""
        for at in reversed(range(len(self.layers))):
            if isinstance(self.layers[at], FloatConv):
                return at
        return None


def _title(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _unsupported(title: str, what: str) -> SqhwError:
    return SqhwError(f"layer {title!r}: {what} is not supported; supported: {SUPPORTED}")


def _add(chain: _Chain, node: fx.Node, modules: dict[str, nn.Module]) -> None:
    title = _title(node)
    if node.op == "call_module":
        layer: Any = modules[str(node.target)]
        if isinstance(layer, nn.Conv2d):
            chain.append(_conv(layer, title, chain))
        elif isinstance(layer, nn.BatchNorm2d):
            _fold_norm(chain, layer, title)
        elif isinstance(layer, nn.Linear):
            chain.append(_linear(layer, title, chain))
        elif isinstance(layer, nn.MaxPool2d):
            chain.append(_pool(layer, title))
        elif isinstance(layer, nn.ReLU):
            _relu(chain, title)
        elif isinstance(layer, nn.Flatten):
            if layer.start_dim != 1 or layer.end_dim != -1:
                raise _unsupported(title, "Flatten of other than all dimensions from 1 on")
            chain.flat = True
        elif not isinstance(layer, _SKIP):
            raise _unsupported(title, type(layer).__name__)
    elif (node.op == "call_function" and node.target in _RELU) or (
        node.op == "call_method" and node.target == "relu"
    ):
        _relu(chain, title)
    elif (node.op == "call_function" and node.target is torch.flatten) or (
        node.op == "call_method" and node.target == "flatten"
    ):
        if (*node.args[1:], *node.kwargs.values()) != (1,):
            raise _unsupported(title, "flatten of other than all dimensions from 1 on")
        chain.flat = True
    else:
        what = getattr(node.target, "__name__", str(node.target))
        raise _unsupported(title, f"{node.op.replace('_', ' ')} {what}")


def _name(title: str) -> str:
    return title.replace(".", "_")


def _array(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return tensor.detach().cpu().to(torch.float32).numpy().copy()


def _both(value: Any, what: str, title: str) -> int:
    """Return the one number that a setting has in both directions."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(set(pair)) != 1:
        raise _unsupported(title, f"{what} {pair}, different in height and width,")
    return int(pair[0])


def _bias(layer: nn.Conv2d | nn.Linear, outputs: int) -> Any:
    return np.zeros(outputs, np.float32) if layer.bias is None else _array(layer.bias)


def _conv(layer: nn.Conv2d, title: str, chain: _Chain) -> FloatConv:
    if chain.flat:
        raise _unsupported(title, "Conv2d after Flatten")
    if layer.groups != 1:
        raise _unsupported(title, f"Conv2d with groups {layer.groups}")
    if tuple(layer.dilation) != (1, 1):
        raise _unsupported(title, f"Conv2d with dilation {tuple(layer.dilation)}")
    if layer.padding_mode != "zeros":
        raise _unsupported(title, f"Conv2d with padding mode {layer.padding_mode!r}")
    if isinstance(layer, nn.LazyConv2d):
        raise _unsupported(title, "LazyConv2d that has seen no input")
    if layer.in_channels != chain.shape[0]:
        raise SqhwError(
            f"layer {title!r}: Conv2d takes {layer.in_channels} channels, "
            f"its input {chain.shape} has {chain.shape[0]}"
        )
    return FloatConv(
        name=_name(title),
        weight=_array(layer.weight),
        bias=_bias(layer, layer.out_channels),
        stride=_both(layer.stride, "Conv2d with stride", title),
        padding=_padding(layer),
    )


def _padding(layer: nn.Conv2d) -> Padding:
    if layer.padding == "valid":
        return 0, 0, 0, 0
    if layer.padding == "same":  # torch puts the odd zero at the bottom and right
        kh, kw = layer.kernel_size
        return (kh - 1) // 2, kh // 2, (kw - 1) // 2, kw // 2
    high, wide = (int(value) for value in layer.padding)
    return high, high, wide, wide


def _fold_norm(chain: _Chain, norm: nn.BatchNorm2d, title: str) -> None:
    conv = chain.layers[-1] if chain.layers else None
    if not isinstance(conv, FloatConv) or conv.relu or conv.kind != "conv":
        raise _unsupported(title, "BatchNorm2d that does not follow a Conv2d")
    if norm.running_mean is None or norm.running_var is None:
        raise _unsupported(title, "BatchNorm2d without running statistics")
    ones = torch.ones(norm.num_features)
    gain = (ones if norm.weight is None else norm.weight.detach()).double() / torch.sqrt(
        norm.running_var.double() + norm.eps
    )
    offset = (0 * ones if norm.bias is None else norm.bias.detach()).double()
    offset = offset - norm.running_mean.double() * gain
    weight = conv.weight * gain.numpy()[:, None, None, None]
    bias = conv.bias * gain.numpy() + offset.numpy()
    chain.layers[-1] = replace(conv, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _linear(layer: nn.Linear, title: str, chain: _Chain) -> FloatConv:
    if not chain.flat:
        raise _unsupported(title, "Linear without a Flatten before it")
    channels, height, width = chain.shape
    if layer.in_features != channels * height * width:
        raise SqhwError(
            f"layer {title!r}: Linear takes {layer.in_features} values, "
            f"its input {chain.shape} has {channels * height * width}"
        )
    weight = _array(layer.weight).reshape(-1, channels, height, width)  # torch flattens C, H, W
    return FloatConv(
        name=_name(title), weight=weight, bias=_bias(layer, layer.out_features), kind="linear"
    )


def _pool(layer: nn.MaxPool2d, title: str) -> FloatMaxPool:
    if _both(layer.padding, "MaxPool2d with padding", title) != 0:
        raise _unsupported(title, f"MaxPool2d with padding {layer.padding}")
    if _both(layer.dilation, "MaxPool2d with dilation", title) != 1:
        raise _unsupported(title, f"MaxPool2d with dilation {layer.dilation}")
    if layer.ceil_mode:
        raise _unsupported(title, "MaxPool2d with ceil_mode")
    return FloatMaxPool(
        name=_name(title),
        kernel=_both(layer.kernel_size, "MaxPool2d with kernel", title),
        stride=_both(layer.stride, "MaxPool2d with stride", title),
    )


def _relu(chain: _Chain, title: str) -> None:
    """Attach a ReLU to the convolution before it; a ReLU and a maximum change places exactly."""
    at = chain.last_conv()
    if at is None:
        raise _unsupported(title, "ReLU before any layer with weights")
    conv = chain.layers[at]
    assert isinstance(conv, FloatConv)
    chain.layers[at] = replace(conv, relu=True)

"""Poolings: those that are a maximum or an average over whole windows of one size."""

from itertools import pairwise
from typing import Any

from torch import fx

from sqhw.frontends.folding.pooling import NO_PADDING, Pooling
from sqhw.frontends.folding.view import View
from sqhw.frontends.torch_module.builder import Builder
from sqhw.frontends.torch_module.calls import AvgPool2dCall, MaxPool2dCall
from sqhw.frontends.torch_module.supported import unsupported
from sqhw.network.graph import Padding


def pair(value: Any) -> tuple[int, int]:
    """Return what torch takes as one number or as two, as two."""
    both = tuple(value) if isinstance(value, tuple | list) else (value,)
    return int(both[0]), int(both[-1])


def max_pool(build: Builder, node: fx.Node, x: View, call: MaxPool2dCall) -> View:
    """Add the maximum of `torch.nn.functional.max_pool2d`."""
    kernel, dilation = pair(call.kernel_size), pair(call.dilation)
    step = pair(call.stride) if call.stride else kernel
    if call.return_indices:
        raise unsupported(node, "MaxPool2d with return_indices True")
    if any(own != 1 and size != 1 for own, size in zip(dilation, kernel, strict=True)):
        raise unsupported(node, f"MaxPool2d with dilation {dilation}")
    return build.max_pool(node, x, Pooling(kernel, step, _padding(x, kernel, step, call)[1]))


def avg_pool(build: Builder, node: fx.Node, x: View, call: AvgPool2dCall) -> View:
    """Add the average of `torch.nn.functional.avg_pool2d`."""
    kernel = pair(call.kernel_size)
    step = pair(call.stride) if call.stride else kernel
    if call.divisor_override not in (None, kernel[0] * kernel[1]):
        raise unsupported(node, f"AvgPool2d with divisor_override {call.divisor_override}")
    own, whole = _padding(x, kernel, step, call)
    counted = own if call.count_include_pad else NO_PADDING
    return build.average(node, x, Pooling(kernel, step, whole, counted))


def _padding(
    x: View,
    kernel: tuple[int, int],
    step: tuple[int, int],
    call: MaxPool2dCall | AvgPool2dCall,
) -> tuple[Padding, Padding]:
    """Return the padding of a pooling without and with that of ceil mode."""
    high, wide = pair(call.padding)
    more = [0, 0]
    for axis, side in enumerate((high, wide)):
        size = x.shape[1 + axis]
        rest = (size + 2 * side - kernel[axis]) % step[axis]
        begin = size + 2 * side - kernel[axis] - rest + step[axis]
        # torch adds a window in front of the rest only if it begins inside the map
        if call.ceil_mode and rest and begin < size + side:
            more[axis] = step[axis] - rest
    return (high, high, wide, wide), (high, high + more[0], wide, wide + more[1])


def adaptive_avg_pool(build: Builder, node: fx.Node, x: View, output_size: Any) -> View:
    """Add the average of `torch.nn.functional.adaptive_avg_pool2d`."""
    return build.average(node, x, _adapted(node, "AdaptiveAvgPool2d", x, output_size))


def adaptive_max_pool(
    build: Builder, node: fx.Node, x: View, output_size: Any, return_indices: bool = False
) -> View:
    """Add the maximum of `torch.nn.functional.adaptive_max_pool2d`."""
    if return_indices:
        raise unsupported(node, "AdaptiveMaxPool2d with return_indices True")
    return build.max_pool(node, x, _adapted(node, "AdaptiveMaxPool2d", x, output_size))


def global_average(build: Builder, node: fx.Node, x: View) -> View:
    """Add an average over height and width."""
    window = x.shape[1:]
    return build.average(node, x, Pooling(window, window))


def _adapted(node: fx.Node, what: str, x: View, output_size: Any) -> Pooling:
    """Return the windows of the plain pooling that an adaptive one is on this map."""
    if x.flat:
        raise unsupported(node, f"{what} after Flatten")
    wanted = (
        tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    )
    sizes = x.shape[1:]
    counts = [
        size if count is None else int(count) for size, count in zip(sizes, wanted, strict=True)
    ]
    windows = []
    for size, count in zip(sizes, counts, strict=True):
        starts = [i * size // count for i in range(count)]
        ends = [-(-(i + 1) * size // count) for i in range(count)]
        lengths = {end - start for start, end in zip(starts, ends, strict=True)}
        steps = {b - a for a, b in pairwise(starts)} or set(lengths)
        if len(lengths) != 1 or len(steps) != 1:
            raise unsupported(
                node,
                f"{what} to {tuple(counts)} from a map {sizes}, where windows differ in size,",
                "choose an output size that divides the map's",
            )
        windows.append((lengths.pop(), steps.pop()))
    (high, down), (wide, right) = windows
    return Pooling((high, wide), (down, right))

"""The network while it is imported: layers are added, and changed by what follows them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, fx, nn

from sqhw.compress.importer.supported import title, unsupported
from sqhw.compress.importer.view import View
from sqhw.errors import SqhwError
from sqhw.float_network import FloatConv, FloatLayer, FloatMaxPool, FloatResidual
from sqhw.network import INPUT, Padding, Shape


class Builder:
    """The layers so far, and which tensor each traced value shows.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
        Of the input.
    readers : mapping of fx.Node to iterable of fx.Node
        The nodes that use the values of each node.
    """

    def __init__(self, shape: Shape, readers: Mapping[fx.Node, Iterable[fx.Node]]) -> None:
        self.layers: dict[str, FloatLayer] = {}
        self.views: dict[fx.Node, View] = {}
        self._shapes: dict[str, Shape] = {INPUT: shape}
        self._readers = readers

    def conv(
        self,
        node: fx.Node,
        x: View,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        groups: int = 1,
        kind: str = "conv",
    ) -> View:
        """Add a convolution; the zeros around `x` become part of its padding."""
        self._require(node, x, padded=kind == "conv", flat=kind == "linear")
        high, low, left, right = (a + b for a, b in zip(padding, x.padding, strict=True))
        _, height, width = self._shapes[x.tensor]
        out, _, kh, kw = weight.shape
        spans = (height + high + low - kh, width + left + right - kw)
        layer = FloatConv(
            name=self._name(node),
            source=x.tensor,
            weight=weight.detach().cpu().to(torch.float32).numpy().copy(),
            bias=np.zeros(out, np.float32)
            if bias is None
            else bias.detach().cpu().to(torch.float32).numpy().copy(),
            stride=_step(node, stride, spans),
            padding=(high, low, left, right),
            kind=kind,
            groups=groups,
        )
        return self._append(node, layer)

    def max_pool(self, node: fx.Node, x: View, kernel: int, stride: tuple[int, int]) -> View:
        """Add a maximum over windows."""
        self._require(node, x)
        _, height, width = x.shape
        step = _step(node, stride, (height - kernel, width - kernel))
        return self._append(node, FloatMaxPool(self._name(node), x.tensor, kernel, step))

    def average(
        self, node: fx.Node, x: View, kernel: tuple[int, int], stride: tuple[int, int]
    ) -> View:
        """Add an average over windows; over single pixels it is nothing."""
        if kernel == stride == (1, 1):
            return x
        channels = x.shape[0]
        weight = torch.full((channels, 1, *kernel), 1.0 / (kernel[0] * kernel[1]))
        return self.conv(node, x, weight, None, stride=stride, groups=channels, kind="avgpool")

    def norm(self, node: fx.Node, x: View, norm: nn.BatchNorm2d) -> View:
        """Fold a batch normalisation into the convolution before it, in double precision."""
        conv = self.layers.get(x.tensor)
        if (
            not x.plain
            or not isinstance(conv, FloatConv)
            or conv.kind != "conv"
            or conv.relu
            or conv.residual
        ):
            raise unsupported(node, "BatchNorm2d that does not follow a Conv2d")
        self._require_only_reader(node, (x.tensor,), "BatchNorm2d")
        if norm.running_mean is None or norm.running_var is None:
            raise unsupported(node, "BatchNorm2d without running statistics")
        if norm.num_features != x.shape[0]:
            raise SqhwError(
                f"layer {title(node)!r}: BatchNorm2d takes {norm.num_features} channels, "
                f"its input {x.shape} has {x.shape[0]}"
            )
        gain = torch.rsqrt(norm.running_var.detach().cpu().double() + norm.eps)
        if norm.weight is not None:
            gain = gain * norm.weight.detach().cpu().double()
        bias = (torch.from_numpy(conv.bias).double() - norm.running_mean.cpu().double()) * gain
        if norm.bias is not None:
            bias = bias + norm.bias.detach().cpu().double()
        weight = torch.from_numpy(conv.weight).double() * gain.view(-1, 1, 1, 1)
        self.layers[conv.name] = replace(
            conv, weight=weight.float().numpy(), bias=bias.float().numpy()
        )
        return x

    def activate(self, node: fx.Node, x: View, ceiling: float | None) -> View:
        """Attach a ReLU to the convolution before it; it and a maximum change places exactly."""
        path = [x.tensor]
        while isinstance(layer := self.layers.get(path[-1]), FloatMaxPool):
            path.append(layer.source)
        if layer is None:
            raise unsupported(node, "ReLU before any layer with weights")
        limits = [limit for limit in (layer.ceiling, ceiling) if limit is not None]
        lowest = min(limits, default=None)
        if not layer.relu or lowest != layer.ceiling:
            self._require_only_reader(node, path, "ReLU")
            self.layers[layer.name] = replace(layer, relu=True, ceiling=lowest)
        return x

    def add(self, node: fx.Node, a: View, b: View) -> View:
        """Make one operand a residual of the other, which must be a convolution's bare output.

        If both can be the convolution, it is the later one.
        """
        if a.shape != b.shape or a.flat != b.flat:
            raise SqhwError(
                f"layer {title(node)!r}: adds tensors of different shapes, {a.shape} and {b.shape}"
            )
        order = list(self.layers)
        hosts = [(order.index(x.tensor), x, y) for x, y in ((a, b), (b, a)) if self._bare(node, x)]
        if not hosts or a.tensor == b.tensor:
            raise unsupported(
                node,
                "an addition of which neither operand is the output of a Conv2d without "
                "activation, skip connection and other reader",
            )
        _, x, skip = max(hosts, key=lambda host: host[0])
        if skip.padded:
            raise unsupported(node, "an addition of a padded tensor")
        conv = self.layers.pop(x.tensor)  # to the end, behind the tensor that it adds
        assert isinstance(conv, FloatConv)
        residual = FloatResidual(skip.tensor, skip.stride, skip.first)
        self.layers[x.tensor] = replace(conv, residual=residual)
        return x

    def result(self, node: fx.Node, x: View) -> tuple[FloatLayer, ...]:
        """Return the layers in execution order, the one that makes `x` last."""
        self._require(node, x, flat=True)
        if x.tensor in self.layers:
            self.layers[x.tensor] = self.layers.pop(x.tensor)
        return tuple(self.layers.values())

    def _bare(self, node: fx.Node, x: View) -> bool:
        layer = self.layers.get(x.tensor)
        return (
            isinstance(layer, FloatConv)
            and layer.trained
            and not layer.relu
            and layer.residual is None
            and x.plain
            and self._other_reader(node, (x.tensor,)) is None
        )

    def _require(self, node: fx.Node, x: View, *, padded: bool = False, flat: bool = False) -> None:
        if x.flat and not flat:
            raise unsupported(node, "a layer on images after Flatten")
        if not x.whole:
            raise unsupported(node, "reading sliced or widened channels other than by an addition")
        if x.padded and not padded:
            raise unsupported(node, "padding of other than a Conv2d's input")

    def _require_only_reader(self, node: fx.Node, path: Iterable[str], what: str) -> None:
        other = self._other_reader(node, path)
        if other is not None:
            raise unsupported(node, f"{what} of a tensor that {title(other)!r} reads without it")

    def _other_reader(self, node: fx.Node, path: Iterable[str]) -> fx.Node | None:
        """Return a node besides `node` that reads one of the tensors, if there is one.

        Nodes that only show these tensors in another way, or were folded into them, do not count.
        """
        tensors = set(path)
        shown = {at: None for at, view in self.views.items() if view.tensor in tensors}
        for at in shown:
            for reader in self._readers[at]:
                if reader is not node and reader not in shown:
                    return reader
        return None

    def _append(self, node: fx.Node, layer: FloatLayer) -> View:
        shape = self._shapes[layer.source]
        out = layer.output_shape(shape)
        if min(out) < 1:
            raise SqhwError(
                f"layer {title(node)!r}: its window is larger than its input map {shape[1:]}"
            )
        self.layers[layer.name] = layer
        self._shapes[layer.name] = out
        return View(layer.name, out)

    def _name(self, node: fx.Node) -> str:
        base = title(node).replace(".", "_")
        name, count = base, 1
        while name in self._shapes:  # a module that is called twice is two layers
            name, count = f"{base}_{count}", count + 1
        return name


def _step(node: fx.Node, stride: tuple[int, int], spans: tuple[int, int]) -> int:
    """Return the stride in both directions; where a window has one position it is any."""
    for step in (1, 2, stride[0]):
        if all(
            step == own or span < min(step, own) for own, span in zip(stride, spans, strict=True)
        ):
            return step
    raise unsupported(node, f"stride {stride}, different in height and width,")

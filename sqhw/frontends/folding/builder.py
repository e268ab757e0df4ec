"""The network while it is imported: layers are added, and changed by what follows them."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from sqhw.errors import SqhwError
from sqhw.frontends.folding.convolution import Convolution, after_affine, scaled
from sqhw.frontends.folding.pooling import Pooling, added, engine_stride, spans, trimmed
from sqhw.frontends.folding.view import Affine, Doubles, View
from sqhw.network.floats import FloatConv, FloatLayer, FloatResidual
from sqhw.network.graph import INPUT, MaxPool, Padding, Shape, Stride

#: Type of a node of the source: of a traced module, or of a file.
N = TypeVar("N", bound=Hashable)


class Builder(ABC, Generic[N]):
    """The layers so far, and which tensor each value of the source shows.

    What is computed from weights of double precision stays so until `result` rounds it once.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
        Shape of the input.
    readers : mapping of node to iterable of node
        The nodes that use the values of each node.
    """

    def __init__(self, shape: Shape, readers: Mapping[N, Iterable[N]]) -> None:
        self.layers: dict[str, FloatLayer] = {}
        self.views: dict[N, View] = {}
        self.notes: list[str] = []
        #: Factors and summands of the input, all channels, that the normalisation takes over.
        self.input_affine: tuple[Doubles, Doubles] | None = None
        #: Nodes left out although they change values, such as a softmax at the end.
        self.dropped: set[N] = set()
        #: The node that has the values of a layer before its ReLU.
        self.bare: dict[str, N] = {}
        #: Tensors that the module never has, as a ReLU and a maximum changed places.
        self._hidden: set[str] = set()
        self._shapes: dict[str, Shape] = {INPUT: shape}
        self._readers = readers

    @abstractmethod
    def title(self, node: N) -> str:
        """Return what the user knows a node by."""

    def base_name(self, node: N) -> str:
        """Return the name of the layer that a node becomes, if no other layer has it."""
        return self.title(node).replace(".", "_")

    @abstractmethod
    def unsupported(self, node: N, what: str, instead: str = "") -> SqhwError:
        """Return the error for a node that cannot be taken; `what` is the subject of a sentence."""

    @abstractmethod
    def is_output(self, node: N) -> bool:
        """Whether a node is the end of the network and no operation."""

    def conv(self, node: N, x: View, conv: Convolution) -> View:
        """Add a convolution; the zeros around `x` become part of its padding."""
        linear = conv.kind == "linear"
        self.require(node, x, padded=not linear, flat=linear)
        padding = added(conv.padding, x.padding)
        kernel, offset = conv.weight, conv.offset
        bordered = any(padding)
        if x.affine and (
            (bordered and x.affine.shift.any()) or not (x.affine.by_channel or linear)
        ):
            x = self.settle(node, x)
        if x.affine:
            kernel, offset = after_affine(x.affine, kernel, offset, conv.groups, x.shape)
        stride = self._step(
            node, conv.stride, spans(self._shapes[x.tensor], kernel.shape[2:], padding)
        )
        if isinstance(stride, tuple) and any(padding[:2]):
            x, padding = self._bordered(node, x, padding)
        layer = FloatConv(
            name=self.free_name(node),
            source=x.tensor,
            weight=kernel,  # type: ignore[arg-type]
            bias=offset,  # type: ignore[arg-type]
            stride=stride,
            padding=padding,
            kind=conv.kind,
            groups=conv.groups,
        )
        return self._append(node, layer)

    def max_pool(self, node: N, x: View, pooling: Pooling) -> View:
        """Add a maximum over windows; a positive factor before it is one after it.

        Its padding takes no part in a maximum. Zeros around `x` may do so; they are padding where
        the tensor has no negative values.
        """
        if x.padded and not self.not_negative(x):
            raise self.unsupported(
                node,
                "a maximum of zeros around a tensor that may be negative",
                "let the maximum itself have the padding, or put a ReLU before the zeros",
            )
        self.require(node, x, padded=True)
        if x.affine and not (x.affine.by_channel and (x.affine.scale > 0).all()):
            x = self.settle(node, x)
        kernel = pooling.kernel
        whole = self._shapes[x.tensor]
        padding = trimmed(whole, kernel, pooling.stride, added(pooling.padding, x.padding))
        if kernel == pooling.stride == (1, 1) and not any(padding):
            return x
        step = self._step(node, pooling.stride, spans(whole, kernel, padding))
        size = kernel[0] if kernel[0] == kernel[1] else kernel
        if isinstance(step, tuple) and any(padding[:2]):
            if not self.not_negative(replace(x, affine=None)):
                raise self.unsupported(
                    node,
                    f"stride {step} of a padded maximum of a tensor that may be negative",
                    "put a ReLU before it",
                )
            x, padding = self._bordered(node, replace(x, affine=None), padding)
        made = self._append(node, MaxPool(self.free_name(node), x.tensor, size, step, padding))
        return self._passed(node, x, made)

    def average(self, node: N, x: View, pooling: Pooling) -> View:
        """Add an average over windows; over single pixels it is nothing.

        Raises
        ------
        SqhwError
            If windows have different numbers of positions that count.
        """
        kernel, stride = pooling.kernel, pooling.stride
        if not pooling.one_divisor(x.shape):
            raise self.unsupported(
                node,
                "an average whose padding or ceil mode makes windows of different sizes,",
                "count the padding (count_include_pad) without ceil mode, or choose sizes that fit",
            )
        padding = trimmed(x.shape, kernel, stride, pooling.padding)
        if kernel == stride == (1, 1) and not any(padding):
            return x
        bordered = any(padding) or x.padded
        if x.affine and (not x.affine.by_channel or (bordered and x.affine.shift.any())):
            x = self.settle(node, x)
        channels = x.shape[0]
        share = np.float32(1 / (kernel[0] * kernel[1]))
        weight = np.full((channels, 1, *kernel), share)
        mean = Convolution(weight, None, stride, padding, channels, "avgpool")
        made = self.conv(node, replace(x, affine=None), mean)
        return self._passed(node, x, made)

    def not_negative(self, x: View) -> bool:
        """Whether no value of a tensor is negative."""
        tensor = x.tensor
        while isinstance(layer := self.layers.get(tensor), MaxPool) or (
            isinstance(layer, FloatConv) and not layer.trained
        ):
            tensor = layer.source
        return x.affine is None and isinstance(layer, FloatConv) and not layer.output_format.signed

    def affine(self, node: N, x: View, scale: Doubles, shift: Doubles) -> View:
        """Multiply and add constants: in the layer before, else in the one that reads the value.

        Parameters
        ----------
        node : N
        x : View
        scale, shift : ndarray of float64
            Arrays of shapes that broadcast to that of `x`.
        """
        if (x.padded and shift.any()) or not x.whole:
            raise self.unsupported(
                node, "arithmetic on a padded or sliced tensor", "do it before the padding"
            )
        full = (x.shape[0], *np.broadcast_shapes(scale.shape, shift.shape)[-2:])
        scale, shift = np.broadcast_to(scale, full), np.broadcast_to(shift, full)
        if x.affine:
            old = x.affine
            return replace(x, affine=Affine(node, scale * old.scale, scale * old.shift + shift))
        by_channel = full[1:] == (1, 1)
        if x.plain and by_channel and self.other_reader(node, (x.tensor,)) is None:
            conv = self.layers.get(x.tensor)
            free = isinstance(conv, FloatConv) and conv.bare and not conv.residual
            if isinstance(conv, FloatConv) and conv.trained and free:
                self.layers[conv.name] = replace(
                    conv,
                    weight=scaled(conv.weight, scale[..., None]),  # type: ignore[arg-type]
                    bias=conv.bias * scale.reshape(-1) + shift.reshape(-1),  # type: ignore[arg-type]
                )
                return x
            if x.tensor == INPUT and (scale > 0).all():
                old_scale, old_shift = self.input_affine or (np.ones(full), np.zeros(full))
                self.input_affine = (scale * old_scale, scale * old_shift + shift)
                return x
        return replace(x, affine=Affine(node, scale, shift))

    def settle(self, node: N, x: View) -> View:
        """Make factors and summands that no layer can take over a layer, a depthwise 1x1 one."""
        if x.affine is None:
            return x
        pending = x.affine
        if not pending.by_channel or not x.whole:
            raise self.unsupported(
                node,
                f"reading {self.title(pending.node)!r}, whose constants differ from pixel to "
                "pixel,",
            )
        channels = self._shapes[x.tensor][0]
        layer = FloatConv(
            name=self.free_name(pending.node),
            source=x.tensor,
            weight=pending.scale.reshape(channels, 1, 1, 1),  # type: ignore[arg-type]
            bias=pending.shift.reshape(channels),  # type: ignore[arg-type]
            groups=channels,
        )
        made = self._append(pending.node, layer)
        self.notes.append(
            f"layer {layer.name!r} is a depthwise 1x1 convolution of its own, as no layer beside "
            "it can take its constants over"
        )
        for at, view in self.views.items():
            if view.affine is pending and view.tensor == x.tensor:
                self.views[at] = replace(view, tensor=made.tensor, affine=None)
        return replace(x, tensor=made.tensor, affine=None)

    def activate(self, node: N, x: View, ceiling: float | None) -> View:
        """Attach a ReLU to the convolution before it; it and a maximum change places exactly."""
        x = self.settle(node, x)
        path = [x.tensor]
        while isinstance(layer := self.layers.get(path[-1]), MaxPool):
            path.append(layer.source)
        own = None if layer is None else layer.ceiling
        limits = [limit for limit in (own, ceiling) if limit is not None]
        lowest = min(limits, default=None)
        changes = layer is None or not layer.relu or lowest != layer.ceiling
        after = layer is not None and layer.has_table
        if changes and (layer is None or after or self.other_reader(node, path) is not None):
            why = "pixels" if layer is None else "a tensor that others read without it"
            why = "another activation function" if after else why
            x = self.copied(node, x, f"as a ReLU of {why} is a layer of its own")
            path, layer = [x.tensor], self.layers[x.tensor]
            lowest = ceiling
        assert isinstance(layer, FloatConv)
        if changes:
            if not layer.relu and layer.name in (nodes := self.shown()):
                self.bare[layer.name] = nodes[layer.name]
            self.layers[layer.name] = replace(layer, relu=True, ceiling=lowest)
            self._hidden.update(path[1:])
        return x

    def look_up(self, node: N, x: View, name: str) -> View:
        """Attach an activation function that is a table to the convolution before it.

        Parameters
        ----------
        node : N
        x : View
        name : str
            One of `sqhw.network.activations.FUNCTIONS`.
        """
        x = self.settle(node, x)
        layer = self.layers.get(x.tensor)
        alone = x.plain and self.other_reader(node, (x.tensor,)) is None
        if not (isinstance(layer, FloatConv) and layer.bare and alone):
            x = self.copied(node, x, f"as {name} of it is a layer of its own")
            layer = self.layers[x.tensor]
            assert isinstance(layer, FloatConv)
        elif layer.name in (nodes := self.shown()):
            self.bare[layer.name] = nodes[layer.name]
        self.layers[layer.name] = replace(layer, activation=name)
        return x

    def add(self, node: N, a: View, b: View) -> View:
        """Make one operand a residual of the other, which must be a convolution's bare output.

        If both can be the convolution, it is the later one.
        """
        if a.shape != b.shape or a.flat != b.flat:
            raise SqhwError(
                f"layer {self.title(node)!r}: adds tensors of different shapes, {a.shape} and "
                f"{b.shape}"
            )
        a, b = self.settle(node, a), self.settle(node, b)
        order = [INPUT, *self.layers]
        pairs = [(order.index(x.tensor), x, y) for x, y in ((a, b), (b, a)) if x.whole]
        hosts = [pair for pair in pairs if self._bare(node, pair[1]) and a.tensor != b.tensor]
        if a.padded or b.padded or not pairs:
            raise self.unsupported(node, "an addition of a padded tensor, or of two sliced ones")
        _, x, skip = max(hosts or pairs, key=lambda host: host[0])
        if not hosts:
            why = "as neither summand is the bare output of a convolution that nothing else reads"
            x = self.copied(node, x, why)
        conv = self.layers.pop(x.tensor)  # to the end, after the tensor that it adds
        assert isinstance(conv, FloatConv)
        residual = FloatResidual(skip.tensor, skip.stride, skip.first)
        self.layers[x.tensor] = replace(conv, residual=residual)
        return x

    def copied(self, node: N, x: View, why: str) -> View:
        """Add a depthwise 1x1 convolution that copies a tensor, with a note on it."""
        made = self.depthwise(node, x, np.ones(x.shape[0]))
        self.notes.append(f"layer {made.tensor!r} copies {x.tensor!r}, {why}")
        return made

    def depthwise(
        self,
        node: N,
        x: View,
        factor: Doubles,
        *,
        relu: bool = False,
        residual: FloatResidual | None = None,
    ) -> View:
        """Add a depthwise 1x1 convolution: each channel of a tensor times a factor."""
        if not x.plain:
            raise self.unsupported(node, "reading a padded or sliced tensor")
        channels = self._shapes[x.tensor][0]
        layer = FloatConv(
            name=self.free_name(node),
            source=x.tensor,
            weight=factor.reshape(channels, 1, 1, 1),  # type: ignore[arg-type]
            bias=np.zeros(channels),  # type: ignore[arg-type]
            relu=relu,
            groups=channels,
            residual=residual,
        )
        return replace(self._append(node, layer), flat=x.flat)

    def hide(self, tensor: str) -> None:
        """Say that no node so far has the values that a layer is about to get."""
        self.bare.pop(tensor, None)
        self.dropped.update(at for at, view in self.views.items() if view.tensor == tensor)

    def put(self, layer: FloatConv) -> View:
        """Put a layer at the end, in place of the one of its name if there is one."""
        self.layers.pop(layer.name, None)
        self.layers[layer.name] = layer
        shape = layer.output_shape(self._shapes[layer.source])
        self._shapes[layer.name] = shape
        return View(layer.name, shape)

    def result(self, node: N, x: View) -> tuple[FloatLayer, ...]:
        """Return the layers in execution order, the one that makes `x` last."""
        x = self.settle(node, x)
        self.require(node, x, flat=True)
        if x.tensor in self.layers:
            self.layers[x.tensor] = self.layers.pop(x.tensor)
        return tuple(_rounded(layer) for layer in self.layers.values())

    def normalisation(
        self, mean: Sequence[float], std: Sequence[float], note: str
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation with the factors and summands of the input.

        Parameters
        ----------
        mean, std : sequence of float
            Normalisation of the pixels that the source expects.
        note : str
            Note to add if there are any.
        """
        if self.input_affine is None:
            return tuple(mean), tuple(std)
        scale, shift = (values.reshape(-1) for values in self.input_affine)
        means, stds = np.array(mean), np.array(std)
        self.notes.append(note)
        return tuple((means - shift * stds / scale).tolist()), tuple((stds / scale).tolist())

    def shown(self) -> dict[str, N]:
        """Return the node that has the values of each tensor, but for tensors that none has."""
        nodes = {}
        for at, view in self.views.items():
            if view.plain and at not in self.dropped:
                nodes[view.tensor] = at
        return {tensor: at for tensor, at in nodes.items() if tensor not in self._hidden}

    def stand_in(self, node: N, shape: Shape) -> View:
        """Return a layer without meaning of some shape, so that a failed import can go on.

        What follows is tried all the same, and every fault is found at once.
        """
        name = self.free_name(node)
        weight, bias = np.zeros((shape[0], 1, 1, 1), np.float32), np.zeros(shape[0], np.float32)
        self.layers[name] = FloatConv(name, INPUT, weight, bias, groups=shape[0])
        self._shapes[name] = shape
        return View(name, shape, flat=shape[1:] == (1, 1))

    def read_by_output_alone(self, node: N) -> bool:
        """Whether the network's output is all that reads a node."""
        return all(map(self.is_output, self._readers[node]))

    def require(self, node: N, x: View, *, padded: bool = False, flat: bool = False) -> None:
        """Raise SqhwError if a layer cannot read such a view."""
        if x.flat and not flat:
            raise self.unsupported(node, "a layer on images after Flatten")
        if not x.whole:
            raise self.unsupported(
                node, "reading sliced or widened channels other than by an addition"
            )
        if x.padded and not padded:
            raise self.unsupported(node, "padding of other than a Conv2d's input")

    def _bordered(self, node: N, x: View, padding: Padding) -> tuple[View, Padding]:
        """Return a copy of a tensor with the zeros above and below, and the padding without them.

        The engine has no padding there for strides of two sizes.
        """
        top, bottom, left, right = padding
        channels = x.shape[0]
        layer = FloatConv(
            name=self.free_name(node),
            source=x.tensor,
            weight=np.ones((channels, 1, 1, 1)),  # type: ignore[arg-type]
            bias=np.zeros(channels),  # type: ignore[arg-type]
            padding=(top, bottom, 0, 0),
            relu=self.not_negative(x),
            groups=channels,
        )
        self.notes.append(
            f"layer {layer.name!r} pads {x.tensor!r} above and below, for a layer of two strides"
        )
        return self._append(node, layer), (0, 0, left, right)

    def _passed(self, node: N, x: View, made: View) -> View:
        """Return what a pooling made, with the factors and summands of what it read."""
        if x.affine is None:
            return made
        return replace(made, affine=Affine(node, x.affine.scale, x.affine.shift))

    def _bare(self, node: N, x: View) -> bool:
        layer = self.layers.get(x.tensor)
        return (
            isinstance(layer, FloatConv)
            and layer.trained
            and layer.bare
            and layer.residual is None
            and x.plain
            and self.other_reader(node, (x.tensor,)) is None
        )

    def other_reader(self, node: N, path: Iterable[str]) -> N | None:
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

    def _append(self, node: N, layer: FloatLayer) -> View:
        shape = self._shapes[layer.source]
        out = layer.output_shape(shape)
        if min(out) < 1:
            raise SqhwError(
                f"layer {self.title(node)!r}: its window is larger than its input map {shape[1:]}"
            )
        self.layers[layer.name] = layer
        self._shapes[layer.name] = out
        return View(layer.name, out)

    def free_name(self, node: N) -> str:
        """Return a name for a layer that a node becomes, which no other layer has."""
        base = self.base_name(node)
        name, count = base, 1
        while name in self._shapes:  # a module that is called twice is two layers
            name, count = f"{base}_{count}", count + 1
        return name

    def _step(self, node: N, stride: tuple[int, int], room: tuple[int, int]) -> Stride:
        """Return the stride of a layer."""
        found = engine_stride(stride, room)
        if found is not None:
            return found
        if stride[0] != stride[1]:
            raise self.unsupported(
                node,
                f"stride {stride[0]} down and {stride[1]} to the right",
                "use 1 or 2 to the right, and a multiple of it down",
            )
        raise self.unsupported(
            node, f"stride {stride[0]}", "use stride 1 or 2 to the right, in several layers"
        )


def _rounded(layer: FloatLayer) -> FloatLayer:
    if not isinstance(layer, FloatConv):
        return layer
    with np.errstate(over="ignore"):  # what is too large is infinite, and refused as such
        return replace(
            layer,
            weight=layer.weight.astype(np.float32, copy=False),
            bias=layer.bias.astype(np.float32),
        )

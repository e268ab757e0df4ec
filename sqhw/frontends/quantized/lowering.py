"""From a neutral graph of integers to a quantized network: the same integer weights."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.neutral import (
    Add,
    Affine,
    AveragePooling,
    Clip,
    Concatenation,
    Convolution,
    Flatten,
    Graph,
    Linear,
    Lookup,
    MaxPooling,
    Operator,
    Pad,
    Problem,
    Quantize,
    Refused,
    Subsample,
    Tensor,
    refuse,
)
from sqhw.frontends.neutral.graph import quantized_first
from sqhw.frontends.quantized import windows
from sqhw.frontends.quantized.adding import added
from sqhw.frontends.quantized.held import Held, held
from sqhw.frontends.quantized.joining import joined
from sqhw.frontends.quantized.kernels import Kernels, reals, slopes
from sqhw.frontends.quantized.looking_up import looked_up
from sqhw.frontends.quantized.making import Fit, Making
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.quantized.scores import score_grid, without_common
from sqhw.frontends.quantized.skips import MOVES, Skipped, skipped
from sqhw.frontends.quantized.sums import Window
from sqhw.frontends.quantized.views import Pending, View
from sqhw.network.graph import INPUT
from sqhw.network.quantized import Conv, QuantizedNetwork

#: Operators on real numbers that join the one before them, up to a quantized tensor.
JOINING = (Affine, Clip, Quantize)


@dataclass(frozen=True, eq=False)
class Lowered:
    """A quantized network and where it comes from.

    Parameters
    ----------
    network : QuantizedNetwork
    graph : Graph
        Graph whose tensors `maps` names.
    maps : dict of str to (str, Held)
        By tensor of the graph: the layer that makes it, or the input, and how its integers are
        held.
    output : str
        Tensor of the scores.
    fits : tuple of Fit
    notes : tuple of str
    """

    network: QuantizedNetwork
    graph: Graph
    maps: dict[str, tuple[str, Held]]
    output: str
    fits: tuple[Fit, ...]
    notes: tuple[str, ...]


def lower(graph: Graph, kernels: Kernels, pixels: Pixels | None = None) -> Lowered:
    """Return the quantized network of a graph of integers.

    Weights are taken over as they are. Zero points of activations go into biases, or into a
    constant channel where padding is in the way. The requantization of each layer is fitted to that
    of `kernels`.

    Parameters
    ----------
    graph : Graph
    kernels : Kernels
        Arithmetic of the file's runtime.
    pixels : Pixels, optional
        Real numbers that pixels stand for, if the graph's input is real.

    Raises
    ------
    SqhwError
        If operators have no layer; the message names all of them.
    """
    lowering = _Lowering(quantized_first(graph).merged(), kernels, pixels or Pixels())
    refuse(lowering.run())
    return lowering.result()


class _Lowering:
    """A network in the making, and what each tensor of the graph is in it."""

    def __init__(self, graph: Graph, kernels: Kernels, pixels: Pixels) -> None:
        self.graph, self.kernels, self.pixels = graph, kernels, pixels
        self.making = Making()
        self.views: dict[str, View | Pending] = {}
        self.maps: dict[str, tuple[str, Held]] = {}
        self.output = graph.output
        self.form = pixels.form

    def run(self) -> list[Problem]:
        """Add all layers, and return why some are missing."""
        problems = []
        try:
            self._open()
        except Refused as refused:
            problems.append(Problem(self.graph.input, "input", refused.reason, refused.instead))
        for operator in self.graph.operators:
            if not all(name in self.views for name in operator.inputs):
                continue  # an operator before it is missing
            try:
                self._add(operator)
            except Refused as refused:
                kind = type(operator).__name__
                problems.append(Problem(operator.name, kind, refused.reason, refused.instead))
        return problems

    def result(self) -> Lowered:
        """Return the network."""
        graph, layers = self.graph, self.making.layers
        found = self.views[self.output]
        names = [layer.name for layer in layers]
        if not isinstance(found, View) or found.map not in names:
            raise SqhwError(f"network {graph.name!r} has no layer with weights at its output")
        layers.append(layers.pop(names.index(found.map)))
        network = QuantizedNetwork(
            name=graph.name,
            input_shape=graph.tensors[graph.input].shape,
            input_format=self.form,
            layers=tuple(layers),
        )
        notes = (*graph.notes, *self.making.notes)
        return Lowered(network, graph, self.maps, self.output, tuple(self.making.fits), notes)

    def _open(self) -> None:
        source = self.graph.tensors[self.graph.input]
        if source.quantization is None:
            self.views[self.graph.input] = Pending(())
            return
        own = self.pixels.held(source.quantization)
        self.form = own.form
        self._show(self.graph.input, View(INPUT, source.shape, own))

    def _add(self, operator: Operator) -> None:
        if not isinstance(operator, Flatten | Affine | Clip | Quantize):
            self._read_pixels(operator)
        first = self.views[operator.inputs[0]]
        grid = self.graph.tensors[operator.output].quantization
        if isinstance(operator, Flatten):
            self._flatten(operator, first)
        elif isinstance(operator, Concatenation):
            self._join(operator)
        elif isinstance(operator, Add) and self._onto_sums(operator):
            pass
        elif isinstance(first, Pending):
            moves = all(isinstance(one, MOVES) for one in (*first.chain, operator))
            if not isinstance(operator, JOINING) and not moves:
                raise Refused(
                    "reads real numbers, which are not quantized",
                    "quantize the activations in front of it",
                )
            chain = (*first.chain, operator)
            if grid is None or isinstance(operator, Pad | Subsample):
                self._wait(operator, first.followed(operator))
            elif self._of_pixels(first):
                self._from_pixels(chain, first)
            else:
                self._make(chain, first.skip)
        elif isinstance(operator, Pad) and not any(operator.channels):
            self._pad(operator, first)
        elif isinstance(operator, MaxPooling):
            self._max_pool(operator, first)
        elif isinstance(operator, Pad | Subsample) and operator.output != self.graph.output:
            self._wait(operator, Pending((operator,)))  # on the way of a skip connection
        elif grid is None:
            self._wait(operator, Pending((operator,)))
        else:
            self._make((operator,))

    def _read_pixels(self, operator: Operator) -> None:
        """Let pixels that an operator reads as real numbers be integers of a grid."""
        (name, *_) = operator.inputs
        source, x = self.graph.input, self.views[name]
        if not isinstance(x, Pending) or not all(isinstance(one, Flatten) for one in x.chain):
            return
        grid = self.pixels.grid()
        shape = self.graph.tensors[source].shape
        tensors = self.graph.tensors | {source: Tensor(shape, grid)}
        if name != source:
            tensors[name] = Tensor(self.graph.tensors[name].shape, grid)
        self.graph = replace(self.graph, tensors=tensors)
        view = View(INPUT, shape, self.pixels.held(grid), channels_last=x.channels_last)
        self._show(source, replace(view, channels_last=None))
        self._show(name, view)

    def _of_pixels(self, pending: Pending) -> bool:
        source = self.graph.input
        if self.graph.tensors[source].quantization is not None:
            return False
        return not pending.chain or pending.chain[0].inputs[0] == source

    def _wait(self, operator: Operator, pending: Pending) -> None:
        """Let real numbers wait for the operator that quantizes them; scores get a grid here."""
        if len(self.graph.readers(operator.output)) > 1:
            raise Refused(
                "makes real numbers that several operators read",
                "quantize its output once, and read that",
            )
        if operator.output != self.output:
            self.views[operator.output] = pending
            return
        if self._of_pixels(pending):
            raise Refused("makes scores of pixels alone")
        if pending.skip is not None:
            raise Refused("makes scores of real numbers by an addition", "quantize the scores")
        chain = without_common(pending.chain)
        if len(chain) < len(pending.chain):
            self.making.notes[
                "arithmetic at the end that is the same for all scores is left out"
            ] = None
        self.output = tensor = chain[-1].output
        x = self.views[chain[0].inputs[0]]
        if isinstance(chain[0], Add) or not isinstance(x, View):
            raise Refused("makes scores of real numbers by an addition", "quantize the scores")
        grid, exact = score_grid(self.graph, chain, self._window(chain[0], x), x)
        if not exact:
            self.making.notes[
                f"scores are rounded to 8 bits, a unit of {float(grid.scale):.3g}"
            ] = None
        shape = self.graph.tensors[tensor].shape
        tensors = self.graph.tensors | {tensor: Tensor(shape, grid)}
        self.graph = replace(self.graph, tensors=tensors)
        self._make(chain)

    def _onto_sums(self, operator: Add) -> bool:
        """Let an addition onto sums that are not quantized wait; return whether it is one."""
        parts = [self.views[name] for name in operator.inputs]
        heads = [
            at
            for at, part in enumerate(parts)
            if isinstance(part, Pending)
            and part.skip is None
            and isinstance(next(iter(part.chain), None), Convolution | Linear)
        ]
        if len(heads) != 1:
            return False
        own, other = parts[heads[0]], parts[1 - heads[0]]
        assert isinstance(own, Pending)
        moves = other.chain if isinstance(other, Pending) else ()
        x = self.views[moves[0].inputs[0]] if moves else other
        if not isinstance(x, View) or not all(isinstance(one, MOVES) for one in moves):
            return False
        made = replace(own.followed(operator), skip=(x, moves))
        if self.graph.tensors[operator.output].quantization is None:
            self._wait(operator, made)
        else:
            self._make(made.chain, made.skip)
        return True

    def _skip(
        self, chain: tuple[Operator, ...], x: View, skip: tuple[View, tuple[Operator, ...]]
    ) -> Skipped:
        """Return the skip connection of an addition in a chain."""
        at = next(at for at, operator in enumerate(chain) if isinstance(operator, Add))
        if any(isinstance(operator, Clip) for operator in chain[:at]):
            raise Refused("adds a map after bounds on sums", "quantize both summands")
        channels = self.graph.tensors[chain[0].output].shape[0]
        ends = reals(self.graph, chain[:at], np.tile(np.array([[0.0, 1.0]]), (channels, 1)))
        return skipped(skip[0], skip[1], (ends[:, 1] - ends[:, 0]) * float(x.held.gain))

    def _join(self, operator: Concatenation) -> None:
        """Add a concatenation: maps on its grid, others after a layer that changes their grid."""
        own = [self.views[name] for name in operator.inputs]
        views = [view for view in own if isinstance(view, View)]
        if len(views) < len(own):
            raise Refused("joins real numbers", "quantize what it joins")
        grid = self.graph.tensors[operator.output].quantization
        target = views[0].held if grid is None else held(grid, operator.clamp)
        if grid is None and not all(_alike(view.held, target) for view in views):
            raise Refused("joins maps of different scales", "quantize its output")
        parts = []
        for at, (name, view) in enumerate(zip(operator.inputs, views, strict=True)):
            if not _alike(view.held, target):
                change = Quantize(name=name, inputs=(name,), output=operator.output)
                of_sums = partial(self.kernels.of_sums, self.graph, (change,))
                changed = f"{operator.name}_part_{at}"
                self.making.weighted(changed, view, windows.single(view), of_sums, target)
                view = View(changed, view.shape, target, channels_last=view.channels_last)
            parts.append(view)
        made = joined(self.making, operator.name, parts, target, self._free(operator, parts))
        for tensor in [tensor for tensor, (shown, _) in self.maps.items() if shown == made.map]:
            del self.maps[tensor]  # it has further channels now
        self.maps = {
            tensor: found
            for tensor, found in self.maps.items()
            if found[0] not in {part.map for part in parts} or self._whole(tensor, found[0])
        }
        self._show(operator.output, replace(made, channels_last=views[0].channels_last))

    def _free(self, operator: Operator, parts: list[View]) -> set[str]:
        """Return the maps of parts that nothing but an operator reads."""
        maps = [part.map for part in parts]
        read = {
            view.map
            for tensor, view in self.views.items()
            if isinstance(view, View)
            and (
                tensor == self.graph.output
                or any(
                    reader is not operator and reader.output not in self.views
                    for reader in self.graph.readers(tensor)
                )
            )
        }
        done = {source for layer in self.making.layers for source in layer.sources}
        return {name for name in maps if maps.count(name) == 1} - read - done

    def _whole(self, tensor: str, layer: str) -> bool:
        """Whether a layer has the channels of a tensor alone."""
        made = next((one for one in self.making.layers if one.name == layer), None)
        channels = self.graph.tensors[tensor].shape[0]
        return not isinstance(made, Conv) or len(made.weight) == channels

    def _make(
        self,
        chain: tuple[Operator, ...],
        skip: tuple[View, tuple[Operator, ...]] | None = None,
    ) -> None:
        """Add the layer of an operator on integers and of those on real numbers after it."""
        head, tensor = chain[0], chain[-1].output
        grid = self.graph.tensors[tensor].quantization
        assert grid is not None
        target = held(grid, chain[-1].clamp)
        views = [view for name in head.inputs if isinstance(view := self.views[name], View)]
        if len(views) < len(head.inputs):
            raise Refused("adds real numbers", "quantize both summands")
        x = views[0]
        made = View(head.name, self.graph.tensors[tensor].shape, target)
        if isinstance(head, Add):
            self._sum(chain, views, target)
        elif isinstance(head, Lookup):
            self._look_up(chain, x, target)
            return
        elif len(chain) == 1 and isinstance(head, Clip | Quantize) and _alike(x.held, target):
            self._show(tensor, replace(x, held=target))
            return
        else:
            window = self._window(head, x)
            signs = slopes(chain, len(window.weight)).astype(np.int64)
            if skip is not None and signs.min() < 0:
                raise Refused("adds a map to sums with a negative factor", "change the signs")
            of_sums = partial(self.kernels.of_sums, self.graph, chain)
            self.making.weighted(
                head.name,
                x,
                replace(window, weight=signs[:, None, None, None] * window.weight),
                lambda sums: of_sums(signs[:, None] * sums),
                target,
                None if skip is None else self._skip(chain, x, skip),
            )
        if isinstance(head, Add | Affine | Clip | Quantize):  # of single values, wherever they are
            made = replace(made, shape=x.shape, channels_last=x.channels_last)
        self._show(tensor, made)

    def _look_up(self, chain: tuple[Operator, ...], x: View, target: Held) -> None:
        """Add a table for an activation function and what follows it on real numbers."""
        if any(x.padding):
            raise Refused("reads a padded map", "pad its output instead")
        of_sums = partial(self.kernels.of_sums, self.graph, chain)
        zero_point = x.held.zero_point

        def function(own: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
            return of_sums(x.held.to_file(own) - zero_point)

        free = self._free(chain[0], [x])
        name = looked_up(self.making, chain[0].name, x, function, target, alone=x.map in free)
        if name == x.map:  # it has other integers now
            self.maps = {at: one for at, one in self.maps.items() if one[0] != name}
        self._show(chain[-1].output, replace(x, map=name, held=target))

    def _sum(self, chain: tuple[Operator, ...], views: list[View], target: Held) -> None:
        if any(any(view.padding) for view in views):
            raise Refused("adds a padded map", "pad the sum instead")
        if views[0].shape != views[1].shape or views[0].channels_last != views[1].channels_last:
            raise Refused(f"adds maps of shapes {views[0].shape} and {views[1].shape}")
        order = [INPUT, *(layer.name for layer in self.making.layers)]
        turned = order.index(views[1].map) > order.index(views[0].map)

        def of_pair(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return self.kernels.of_pair(self.graph, chain, *((b, a) if turned else (a, b)))

        own, skip = reversed(views) if turned else views  # the skip is the earlier one
        added(self.making, chain[0].name, own, skip, of_pair, target)

    def _window(self, head: Operator, x: View) -> Window:
        """Return weights and geometry of an operator."""
        if isinstance(head, Convolution):
            return windows.convolution(head, x)
        if isinstance(head, Linear):
            return windows.linear(head, x)
        if isinstance(head, AveragePooling):
            return windows.average(head, x)
        if isinstance(head, Clip | Quantize | Affine):
            return windows.single(x)
        if isinstance(head, Pad):
            raise Refused(
                f"pads channels by {head.channels}, or with {head.value:g}",
                "pad height and width with 0",
            )
        raise Refused("has no layer on the engine")

    def _flatten(self, operator: Flatten, x: View | Pending) -> None:
        if isinstance(x, Pending):
            if not self._of_pixels(x):
                raise Refused("reads real numbers", "quantize the activations in front of it")
            self._wait(operator, Pending((*x.chain, operator), operator.channels_last))
            return
        if any(x.padding):
            raise Refused("flattens a padded map", "leave the padding out")
        order = operator.channels_last if x.channels_last is None else x.channels_last
        self._show(operator.output, replace(x, channels_last=order))

    def _pad(self, operator: Pad, x: View) -> None:
        if operator.value or x.channels_last is not None:
            raise Refused(
                f"pads channels by {operator.channels}, or with {operator.value:g}",
                "pad height and width with 0",
            )
        self.views[operator.output] = x.padded(operator.padding)

    def _max_pool(self, operator: MaxPooling, x: View) -> None:
        grid = self.graph.tensors[operator.output].quantization
        if grid is not None and not _alike(x.held, held(grid, operator.clamp)):
            raise Refused("changes the scale or the bounds", "quantize its input and output alike")
        stride, padding = windows.maximum(operator, x)
        self.making.maximum(operator.name, x, operator.kernel, stride, padding)
        shape = self.graph.tensors[operator.output].shape
        self._show(operator.output, View(operator.name, shape, x.held))

    def _from_pixels(self, chain: tuple[Operator, ...], pending: Pending) -> None:
        """Add the layer that quantizes pixels, unless they are those integers already."""
        last = chain[-1]
        grid = self.graph.tensors[last.output].quantization
        assert grid is not None
        target = held(grid, last.clamp)
        shape = self.graph.tensors[self.graph.input].shape
        response = self.pixels.response(chain, grid)
        window, signs = self.pixels.window(chain, shape)
        values = np.tile(np.arange(self.pixels.input_max + 1), (shape[0], 1))
        made = target.of_file(response(values)).clip(target.lowest, target.highest)
        view = View(last.name, shape, target, channels_last=pending.channels_last)
        if target.form == self.pixels.form and (made == values).all():
            self._show(last.output, replace(view, map=INPUT))
            return
        source = View(INPUT, shape, self.pixels.plain)
        self.making.weighted(
            last.name, source, window, lambda sums: response(signs[:, None] * sums), target
        )
        self._show(last.output, view)

    def _show(self, tensor: str, view: View) -> None:
        self.views[tensor] = view
        if view.channels_last is None:  # others are maps that are shown already
            self.maps[tensor] = (view.map, view.held)


def _alike(own: Held, target: Held) -> bool:
    """Return whether a map holds integers as a target does, within bounds that are no wider."""
    same = (own.unit, own.zero, own.form) == (target.unit, target.zero, target.form)
    return same and target.lowest <= own.lowest and own.highest <= target.highest

"""The imported network against the module: layer by layer, on the module's own tensors.

Each layer is given what the module itself computed for the tensors that the layer reads, so the
errors of one layer do not add to those of the next, and the layer that is wrong is the one that is
named. In double precision, the difference of a right layer is at most that of its weights rounded
once to single precision: ``2**-24 * (|weight| * |x| + |bias|)``, element by element. Values are
compared before a ReLU too, as it hides the faults of channels that are silent.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import (
    activated,
    max_pool,
    padded_conv,
    with_residual,
)
from sqhw.frontends.torch_module.pixels import Pixels
from sqhw.frontends.torch_module.reference import differs
from sqhw.frontends.torch_module.supported import title
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork
from sqhw.network.graph import INPUT, MaxPool

#: Error that is rounding, relative to the sum of the magnitudes that a layer adds: twice that
#: of single precision; if the module itself runs in single precision, that of its long sums.
ROUNDING = {torch.float64: 2.0**-23, torch.float32: 2.0**-14}
SMALLEST = 2.0**-126  # what single precision rounds to with a constant error

_Name = tuple[str, bool]  # a tensor, and whether it is that before the layer's ReLU


@dataclass(frozen=True)
class Sample:
    """Some images, and what the module returned for them.

    Parameters
    ----------
    pixels : Tensor, shape (n, channels, height, width)
    output : Tensor, optional
        None if the module fails.
    """

    pixels: Tensor
    output: Tensor | None


@dataclass(frozen=True)
class _Known:
    """A tensor with a bound on its error, None where it comes from the module itself."""

    value: Tensor
    error: Tensor | None = None


class Check(fx.Interpreter):
    """Runs a module's graph, and each layer of its import as soon as what it reads is there.

    Parameters
    ----------
    network : FloatNetwork
    graph : fx.Graph
        Without operations in place.
    root : nn.Module
        What the graph calls.
    shown : dict of str to fx.Node
        The node that has the values of each tensor of the network; some may lack.
    bare : dict of str to fx.Node
        The same before the ReLU of a layer.
    pixels : Pixels
        What the module is fed.
    dtype : torch.dtype
        Precision in which the module runs.
    """

    def __init__(
        self,
        network: FloatNetwork,
        graph: fx.Graph,
        root: nn.Module,
        shown: dict[str, fx.Node],
        bare: dict[str, fx.Node],
        pixels: Pixels,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(root, graph=graph)
        self.extra_traceback = False  # it would be part of the error's text
        self.network = network
        self.nodes = shown
        self.pixels = pixels
        self.dtype = dtype
        self.bare = bare
        self._tensors: dict[fx.Node, list[_Name]] = {}
        for nodes, before in ((shown, False), (bare, True)):
            for tensor, node in nodes.items():
                self._tensors.setdefault(node, []).append((tensor, before))
        self._weights = {
            layer.name: (torch.from_numpy(layer.weight), torch.from_numpy(layer.bias))
            for layer in network.convs
        }

    def run_sample(self, sample: Sample) -> None:
        """Compare on some images.

        Raises
        ------
        SqhwError
            If they differ; it names the first layer that does, and by how much.
        """
        self._found: dict[_Name, Tensor] = {}
        self._known: dict[str, _Known] = {}
        self._next = 0
        own = Pixels(
            self.network.input_shape, self.network.input_max, self.network.mean, self.network.std
        )
        self._input = own.normalised(sample.pixels)
        with torch.no_grad():
            output = self.run(self.pixels.normalised(sample.pixels).to(self.dtype))
        if sample.output is None or differs(output, sample.output, self.dtype):
            raise SqhwError(
                f"network {self.network.name!r}: forward() as traced gives another output than "
                "the module itself; it depends on what a trace does not see (the kind of its "
                "argument, a state outside the module): make forward() a function of its input "
                "and the weights"
            )
        if self._next < len(self.network.layers):
            left = self.network.layers[self._next].name
            raise SqhwError(f"layer {left!r}: no value of the module to compare it with")

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and compare the layers that read or make its value."""
        made = super().run_node(n)
        for name in self._tensors.get(n, ()):
            self._found[name] = made.double()
            if name[0] == INPUT:
                error = ROUNDING[self.dtype] * (self._input.abs() + 1)
                self._known[INPUT] = self._compared(name, _Known(self._input, error))
        while self._next < len(self.network.layers) and self._ready():
            layer = self.network.layers[self._next]
            made_here = self._made(layer)
            if isinstance(layer, FloatConv):
                made_here = self._compared((layer.name, True), made_here)
                made_here = replace(made_here, value=activated(made_here.value, layer))
            self._known[layer.name] = self._compared((layer.name, False), made_here)
            self._next += 1
            self._forget()
        return made

    def _ready(self) -> bool:
        layer = self.network.layers[self._next]
        return all(source in self._known for source in layer.sources) and all(
            layer.name not in nodes or (layer.name, before) in self._found
            for nodes, before in ((self.nodes, False), (self.bare, True))
        )

    def _forget(self) -> None:
        """Drop the tensors that no layer reads any more."""
        needed = {s for layer in self.network.layers[self._next :] for s in layer.sources}
        for tensor in [tensor for tensor in self._known if tensor not in needed]:
            del self._known[tensor]

    def _made(self, layer: FloatLayer) -> _Known:
        """Return what a layer makes before its ReLU, with the bound on its rounding."""
        x = self._known[layer.source]
        if isinstance(layer, MaxPool):
            value, error = (
                None if part is None else max_pool(layer, part) for part in (x.value, x.error)
            )
            assert value is not None
            return _Known(value, error)
        weight, bias = (part.double() for part in self._weights[layer.name])
        values = {source: self._known[source].value for source in layer.sources}
        made = with_residual(padded_conv(x.value, weight, bias, layer), layer.residual, values)
        sizes = {source: value.abs() for source, value in values.items()}
        size = padded_conv(sizes[layer.source], weight.abs(), bias.abs(), layer)
        error = ROUNDING[self.dtype] * with_residual(size, layer.residual, sizes)
        if x.error is not None:
            error = error + padded_conv(x.error, weight.abs(), None, layer)
        skip = layer.residual
        if skip is not None and (late := self._known[skip.source].error) is not None:
            error = with_residual(error, skip, {skip.source: late})
        return _Known(made, error)

    def _compared(self, name: _Name, made: _Known) -> _Known:
        """Return the module's own tensor; without one, what the layer made."""
        if name not in self._found:
            return made
        found = self._found.pop(name).reshape(made.value.shape)
        difference = (made.value - found).abs()
        error = 0.0 if made.error is None else made.error
        if not (difference <= error + SMALLEST).all():
            raise self._refused(name, float(difference.max()), float(found.abs().max()))
        return _Known(found)

    def _refused(self, name: _Name, difference: float, largest: float) -> SqhwError:
        tensor, before = name
        node = self.bare[tensor] if before else self.nodes[tensor]
        where = "the normalised input" if tensor == INPUT else f"layer {tensor!r}"
        return SqhwError(
            f"{where}: the imported network differs from the module by {difference:.3g} where "
            f"the module's values, at {title(node)!r}, go up to {largest:.3g}; "
            "write this layer with plain torch.nn layers, without weights that depend on the "
            "input, and import again"
        )

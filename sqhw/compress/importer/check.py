"""The imported network against the module: layer by layer, on the module's own tensors.

Each layer is given what the module itself computed for the tensors that the layer reads, so the
errors of one layer do not add to those of the next, and the layer that is wrong is the one that is
named. In double precision, the difference of a right layer is at most that of its weights rounded
once to single precision: ``2**-24 * (|weight| * |x| + |bias|)``, element by element.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from sqhw.compress.float_module import activated, padded_conv, with_residual
from sqhw.compress.importer.pixels import Pixels
from sqhw.compress.importer.reference import differs
from sqhw.compress.importer.supported import title
from sqhw.errors import SqhwError
from sqhw.float_network import FloatConv, FloatLayer, FloatNetwork
from sqhw.network import INPUT

#: Error that is rounding, relative to the sum of the magnitudes that a layer adds: four times that
#: of single precision; if the module itself runs in single precision, that of its long sums.
ROUNDING = {torch.float64: 2.0**-22, torch.float32: 2.0**-14}


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
        pixels: Pixels,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(root, graph=graph)
        self.network = network
        self.nodes = shown
        self.pixels = pixels
        self.dtype = dtype
        self._tensors: dict[fx.Node, list[str]] = {}
        for tensor, node in shown.items():
            self._tensors.setdefault(node, []).append(tensor)
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
        self._found: dict[str, Tensor] = {}
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
        for tensor in self._tensors.get(n, ()):
            self._found[tensor] = made.double()
            if tensor == INPUT:
                self._known[INPUT] = self._compared(INPUT, _Known(self._input, self._input.abs()))
        while self._next < len(self.network.layers) and self._ready():
            layer = self.network.layers[self._next]
            self._known[layer.name] = self._compared(layer.name, self._made(layer))
            self._next += 1
            self._forget()
        return made

    def _ready(self) -> bool:
        layer = self.network.layers[self._next]
        return all(source in self._known for source in layer.sources) and (
            layer.name not in self.nodes or layer.name in self._found
        )

    def _forget(self) -> None:
        """Drop the tensors that no layer reads any more."""
        needed = {s for layer in self.network.layers[self._next :] for s in layer.sources}
        for tensor in [tensor for tensor in self._known if tensor not in needed]:
            del self._known[tensor]

    def _made(self, layer: FloatLayer) -> _Known:
        """Return what a layer makes of the module's tensors, with the bound on its rounding."""
        x = self._known[layer.source]
        if not isinstance(layer, FloatConv):
            value, error = (
                None if part is None else functional.max_pool2d(part, layer.kernel, layer.stride)
                for part in (x.value, x.error)
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
        return _Known(activated(made, layer), error)

    def _compared(self, tensor: str, made: _Known) -> _Known:
        """Return the module's own tensor; without one, what the layer made."""
        if tensor not in self._found:
            return made
        found = self._found.pop(tensor)
        value = made.value.reshape(found.shape) if made.value.numel() == found.numel() else None
        assert value is not None, tensor
        error = made.error.reshape(found.shape) if made.error is not None else 0.0
        difference = (value - found).abs()
        if not (difference <= error + 1e-300).all():
            raise self._refused(tensor, float(difference.max()), float(found.abs().max()))
        return _Known(found.reshape(made.value.shape))

    def _refused(self, tensor: str, difference: float, largest: float) -> SqhwError:
        where = "the normalised input" if tensor == INPUT else f"layer {tensor!r}"
        return SqhwError(
            f"{where}: the imported network differs from the module by {difference:.3g} where "
            f"the module's values, at {title(self.nodes[tensor])!r}, go up to {largest:.3g}; "
            "write this layer with plain torch.nn layers, without weights that depend on the "
            "input, and import again"
        )

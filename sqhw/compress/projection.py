"""The projection: masks and codebooks of all layers for a budget, found together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.compress.assemble import skeleton
from sqhw.compress.codebook import SortedWeights, kmeans
from sqhw.compress.float_network import FloatConv
from sqhw.compress.floor import floor_masks
from sqhw.compress.knapsack import Option, choose
from sqhw.compress.options import LayerState, layer_options
from sqhw.compress.qat import QatNetwork
from sqhw.compress.qat_layers import QatConv
from sqhw.compress.target import Target
from sqhw.network import INPUT

COUNT_BITS = 6  # typical width of the entry count in a channel record
SEARCH_STEPS = 12


@dataclass(frozen=True, eq=False)
class Projection:
    """What every layer keeps.

    Parameters
    ----------
    masks : list of ndarray of bool
        Weights kept, layer by layer.
    levels : list of int
        Distinct values of them at most.
    size : int
        Cost of the network on the budget's basis, at most.
    bits : int
        Budget of the knapsack that gave it (unit: bit).
    """

    masks: list[npt.NDArray[np.bool_]]
    levels: list[int]
    size: int
    bits: int


class Projector:
    """Finds the best masks and codebooks at one moment of the training.

    Parameters
    ----------
    model : QatNetwork
    importance : sequence of ndarray
        Loss that a squared change of each weight causes, layer by layer.
    target : Target
    bias_bits : int
        Width of the biases.
    """

    def __init__(
        self,
        model: QatNetwork,
        importance: Sequence[npt.NDArray[np.float64]],
        target: Target,
        bias_bits: int,
    ) -> None:
        self.model = model
        self.target = target
        self.bias_bits = bias_bits
        layers = model.layers()
        weights = [layer.weight.detach().numpy().astype(np.float64) for layer in layers]
        scores = [f * w**2 for f, w in zip(importance, weights, strict=True)]
        floors = floor_masks(model.network, scores)
        inputs = _live_inputs(model, floors)
        self.states = [
            LayerState(weight, worth, floor, live, bias_bits + COUNT_BITS, layer.pinned)
            for layer, weight, worth, floor, live in zip(
                layers, weights, importance, floors, inputs, strict=True
            )
        ]
        self.ranks = [state.rank() for state in self.states]
        self.hulls = [
            layer_options(state, target.engine, target.budget.basis) for state in self.states
        ]

    @property
    def least_bits(self) -> int:
        """Knapsack cost of the floor (unit: bit)."""
        return sum(layer[0].bits for layer in self.hulls)

    @property
    def most_bits(self) -> int:
        """Knapsack cost of the most exact options (unit: bit)."""
        return sum(layer[-1].bits for layer in self.hulls)

    def at_most(self, bits: int) -> Projection:
        """Return the projection for a knapsack budget, at least that of the floor."""
        chosen = choose(self.hulls, max(bits, self.least_bits))
        assert chosen is not None
        return self._project(chosen, bits)

    def floor(self) -> Projection:
        """Return the smallest network: one path of weights for every output, one value each."""
        chosen = [Option(0, 0.0, int(state.floor.sum()), 1) for state in self.states]
        return self._project(chosen, 0)

    def fitting(self) -> Projection | None:
        """Return the richest projection found whose exact cost meets the target."""
        low, high = self.least_bits, self.most_bits
        best = self.at_most(high)
        if self.target.admits(best.size):
            return best
        best = self.at_most(low)
        if not self.target.admits(best.size):
            best = self.floor()
            return best if self.target.admits(best.size) else None
        for _ in range(SEARCH_STEPS):
            middle = (low + high) // 2
            found = self.at_most(middle)
            if self.target.admits(found.size):
                low, best = middle, found
            else:
                high = middle
        return best

    def _project(self, chosen: Sequence[Option], bits: int) -> Projection:
        masks = [rank < o.nonzeros for rank, o in zip(self.ranks, chosen, strict=True)]
        levels = [option.levels for option in chosen]
        size = self.target.size(
            skeleton(self.model, masks, levels, self.bias_bits, self.target.engine)
        )
        return Projection(masks, levels, size, bits)

    def codebooks(self, found: Projection) -> list[npt.NDArray[np.float64]]:
        """Return the values of the kept weights of each layer in real units, ascending."""
        return [
            _codebook(state, mask, count)
            for state, mask, count in zip(self.states, found.masks, found.levels, strict=True)
        ]


def _live_inputs(
    model: QatNetwork, floors: Sequence[npt.NDArray[np.bool_]]
) -> list[npt.NDArray[np.bool_]]:
    """Return which input channels of each trained layer are stored."""
    live = {INPUT: np.ones(model.network.input_shape[0], dtype=bool)}
    inputs = []
    rest = iter(floors)
    for layer in model.network.layers:
        step = model.step(layer) if isinstance(layer, FloatConv) else None
        if isinstance(step, QatConv):
            floor = next(rest)
            if step.layer.groups == 1:
                inputs.append(live[layer.source] | floor.any(axis=(0, 2, 3)))
            else:
                inputs.append(np.ones(floor.shape[1], dtype=bool))
            live[layer.name] = step.alive().detach().numpy() > 0
        else:
            live[layer.name] = live[layer.source]
    return inputs


def _codebook(
    state: LayerState, mask: npt.NDArray[np.bool_], levels: int
) -> npt.NDArray[np.float64]:
    values = state.weight[mask]
    order = np.argsort(values, kind="stable")
    worth = state.importance[mask][order]
    worth = worth + 1e-3 * state.importance.mean() + 1e-30
    return kmeans(SortedWeights.make(values[order], worth), levels, steps=50)[0]

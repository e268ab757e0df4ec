"""The projection: masks and codebooks of all layers for a budget, found together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.compress.assemble import skeleton
from sqhw.compress.channels import ChannelGraph, ChannelShares, dropped_worth, without_channels
from sqhw.compress.codebook import SortedWeights, kmeans
from sqhw.compress.floor import floor_masks
from sqhw.compress.knapsack import Option, choose, price
from sqhw.compress.options import LayerOptions, LayerState, layer_options
from sqhw.compress.qat import QatNetwork
from sqhw.compress.target import Target

Mask = npt.NDArray[np.bool_]
Hulls = list[list[Option]]

COUNT_BITS = 6  # typical width of the entry count in a channel record
SEARCH_STEPS = 12
CLOSE = 1e-3  # of the budget: what a search may leave of it
CHANNEL_ROUNDS = 4


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
    distortion : float
        Loss that it is expected to cause (no unit).
    dropped : list of int
        Output channels of each layer that went as a whole, to save their records and positions.
    """

    masks: list[Mask]
    levels: list[int]
    size: int
    bits: int
    distortion: float
    dropped: list[int]


@dataclass(frozen=True, eq=False)
class _Found:
    """A choice from the tables of one set of stored channels."""

    hulls: Hulls
    chosen: list[Option]
    projection: Projection


class Projector:
    """Finds the best masks and codebooks at one moment of the training.

    Every projection begins with all channels. Those that are worth less than what their weights,
    records and positions cost at the price of the choice go, and the choice is made again.

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
        importance: Sequence[npt.NDArray[np.floating]],
        target: Target,
        bias_bits: int,
    ) -> None:
        self.model = model
        self.target = target
        self.bias_bits = bias_bits
        layers = model.layers()
        weights = [layer.weight.detach().numpy() for layer in layers]
        worths = [np.asarray(part, dtype=np.float32) for part in importance]
        floors = floor_masks(model.network, [f * w**2 for f, w in zip(worths, weights, strict=True)])
        self.states = [
            LayerState(weight, worth, floor, bias_bits + COUNT_BITS, layer.pinned)
            for layer, weight, worth, floor in zip(layers, weights, worths, floors, strict=True)
        ]
        self.scores = [state.score for state in self.states]
        self.graph = ChannelGraph.of(model)
        self.needed = [floor.any(axis=(1, 2, 3)) for floor in floors]
        self.every = [np.ones(len(needed), dtype=bool) for needed in self.needed]
        self.tables = self._tables(self.every)
        self.hulls = self._hulls(self.tables)

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

        def pick(tables: list[LayerOptions], hulls: Hulls) -> _Found:
            least = sum(layer[0].bits for layer in hulls)
            return self._at(tables, hulls, max(bits, least))

        found = self._search(pick)
        assert found is not None
        return found

    def floor(self) -> Projection:
        """Return the smallest network: one path of weights for every output, one value each."""
        masks = [state.floor for state in self.states]
        worth = sum(float(s[~state.floor].sum()) for s, state in zip(self.scores, self.states, strict=True))
        return self._projection(masks, [1] * len(masks), 0, worth, self.every)

    def fitting(self) -> Projection | None:
        """Return the best projection found whose exact cost meets the target."""
        found = self._search(self._fitting)
        if found is None:
            found = self.floor()
        return found if self.target.admits(found.size) else None

    def _search(
        self, pick: Callable[[list[LayerOptions], Hulls], _Found | None]
    ) -> Projection | None:
        """Return the best of the choices for fewer and fewer channels."""
        rows, tables, hulls = self.every, self.tables, self.hulls
        best: Projection | None = None
        for _ in range(CHANNEL_ROUNDS):
            found = pick(tables, hulls)
            if found is None:
                smaller = [
                    np.where(can_go, needed, row)
                    for can_go, needed, row in zip(
                        self.graph.removable, self.needed, rows, strict=True
                    )
                ]
            else:
                if best is None or found.projection.distortion < best.distortion:
                    best = found.projection
                smaller = without_channels(
                    self.graph,
                    rows,
                    self.needed,
                    self._shares(tables, found),
                    price(found.hulls, found.chosen),
                )
            if all(np.array_equal(a, b) for a, b in zip(rows, smaller, strict=True)):
                break
            rows = smaller
            tables = self._tables(rows)
            hulls = self._hulls(tables)
        return best

    def _fitting(self, tables: list[LayerOptions], hulls: Hulls) -> _Found | None:
        """Return the richest choice found whose exact cost meets the target."""
        low, high = (sum(layer[end].bits for layer in hulls) for end in (0, -1))
        best = self._at(tables, hulls, high)
        if self.target.admits(best.projection.size):
            return best
        best = self._at(tables, hulls, low)
        if not self.target.admits(best.projection.size):
            return None
        limit = self.target.budget.limit
        last = best
        for _ in range(SEARCH_STEPS):
            middle = (low + high) // 2
            if self.target.budget.basis != "blocks":  # then sizes differ by about a constant
                used = sum(option.bits for option in last.chosen)
                guess = used + limit - last.projection.size
                middle = guess if low < guess < high else middle
            last = self._at(tables, hulls, middle)
            if self.target.admits(last.projection.size):
                low, best = middle, last
                if limit - last.projection.size <= CLOSE * limit:
                    break
            else:
                high = middle
        return best

    def _at(self, tables: list[LayerOptions], hulls: Hulls, bits: int) -> _Found:
        chosen = choose(hulls, bits)
        assert chosen is not None
        masks = [
            table.mask(option, state.weight.shape)
            for table, option, state in zip(tables, chosen, self.states, strict=True)
        ]
        levels = [option.levels for option in chosen]
        rows = [table.rows for table in tables]
        worth = sum(option.distortion for option in chosen)
        worth += dropped_worth(self.graph, rows, self.scores)
        return _Found(hulls, chosen, self._projection(masks, levels, bits, worth, rows))

    def _projection(
        self, masks: list[Mask], levels: list[int], bits: int, worth: float, rows: list[Mask]
    ) -> Projection:
        size = self.target.size(
            skeleton(self.model, masks, levels, self.bias_bits, self.target.engine)
        )
        dropped = [int((~row).sum()) for row in rows]
        return Projection(masks, levels, size, bits, worth, dropped)

    def _tables(self, rows: list[Mask]) -> list[LayerOptions]:
        return [
            layer_options(
                state,
                rows[at],
                self.graph.inputs(rows, at, state.weight.shape[1]),
                self.target.engine,
            )
            for at, state in enumerate(self.states)
        ]

    def _hulls(self, tables: list[LayerOptions]) -> Hulls:
        basis = self.target.budget.basis
        return [table.hull(table.costs(basis)) for table in tables]

    def _shares(self, tables: list[LayerOptions], found: _Found) -> list[ChannelShares]:
        """Return what each channel costs and is worth in a choice."""
        payload = self.target.budget.basis == "payload"
        shares = []
        for score, table, option, mask in zip(
            self.scores, tables, found.chosen, found.projection.masks, strict=True
        ):
            stored = mask
            if table.stored.gap_bits[option.index] == 0 and not payload:
                stored = np.zeros(mask.shape, dtype=bool)
                stored[np.ix_(mask.any(axis=(1, 2, 3)), table.inputs)] = True
            records = 0 if payload else int(table.records[option.index])
            each = (option.bits - records) / max(1, int(stored.sum()))
            score = np.where(mask, score, 0)
            rows = max(1, int(mask.any(axis=(1, 2, 3)).sum()))
            shares.append(
                ChannelShares(
                    row_cost=each * stored.sum(axis=(1, 2, 3)) + records / rows,
                    column_cost=each * stored.sum(axis=(0, 2, 3)),
                    row_worth=score.sum(axis=(1, 2, 3), dtype=np.float64),
                    column_worth=score.sum(axis=(0, 2, 3), dtype=np.float64),
                )
            )
        return shares

    def codebooks(self, found: Projection) -> list[npt.NDArray[np.float64]]:
        """Return the values of the kept weights of each layer in real units, ascending."""
        return [
            _codebook(state, mask, count)
            for state, mask, count in zip(self.states, found.masks, found.levels, strict=True)
        ]


def _codebook(state: LayerState, mask: Mask, levels: int) -> npt.NDArray[np.float64]:
    values = state.weight[mask].astype(np.float64)
    order = np.argsort(values, kind="stable")
    worth = state.importance[mask][order].astype(np.float64)
    worth = worth + 1e-3 * float(state.importance.mean()) + 1e-30
    return kmeans(SortedWeights.make(values[order], worth), levels, steps=50)[0]

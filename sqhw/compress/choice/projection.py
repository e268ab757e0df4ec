"""Projection: masks and codebooks of all layers for a budget, found together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from sqhw.arrays import Mask
from sqhw.compress.choice.channels import ChannelGraph, ChannelShares, stored_rows, without_channels
from sqhw.compress.choice.floor import floor_masks
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.options import LayerOptions, LayerState, layer_options
from sqhw.compress.choice.stage import Choice, Stage
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.knapsack import Option, choose, price, richest
from sqhw.cost_models.layer_shape import LayerShape, layer_shapes
from sqhw.cost_models.scale import Scale

#: Typical width of the entry count in a channel record (unit: bit).
COUNT_BITS = 6
#: Share of the budget that a search may leave.
CLOSE = 2e-3
#: Largest number of times that channels are dropped in a search.
CHANNEL_ROUNDS = 3
#: Ratio below which two losses count as equal. Then fewer channels are better.
SAME = 1.001
#: Largest number of times that the scale of several budgets is weighted anew.
SCALE_STEPS = 5


@dataclass(frozen=True, eq=False)
class Projection:
    """Mask and number of values of every layer.

    Parameters
    ----------
    masks : list of ndarray of bool
        Weights that each layer keeps.
    levels : list of int
        Largest number of distinct values of each layer.
    costs : dict of str to float
        Upper bound of the network's cost on each basis of the budget.
    bits : int
        Budget of the knapsack that chose it, on the scale of the budgets: bits, or a weighted sum
        of several costs.
    distortion : float
        Expected loss (no unit).
    dropped : list of int
        Number of output channels of each layer that went as a whole, to save their records and
        positions.
    """

    masks: list[Mask]
    levels: list[int]
    costs: dict[str, float]
    bits: int
    distortion: float
    dropped: list[int]


class Projector:
    """Finds the best masks and codebooks at one moment of the training.

    Every projection begins with all channels. Channels go that are worth less than their weights,
    records and positions cost at the price of the choice. Then the choice is made again.

    Parameters
    ----------
    model : QatNetwork
    importance : sequence of ndarray
        Loss that a squared change of each weight causes, one array for each layer.
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
        weights = [layer.weight.detach().cpu().numpy() for layer in layers]
        worths = [np.asarray(part, dtype=np.float32) for part in importance]
        scores = [f * w * w for f, w in zip(worths, weights, strict=True)]
        floors = floor_masks(model.network, scores)
        self.scale = Scale.even(target.limits, max(d * w for d, w in target.device.bram.modes))
        self.close = CLOSE
        shapes: dict[str, LayerShape] = {}
        if {"cycles", "energy"} & set(target.limits):
            every = layer_shapes(model.network, target.engine)
            shapes = {shape.name: shape for shape in every}
        self.states = [
            LayerState(
                weight,
                worth,
                floor,
                bias_bits + COUNT_BITS + layer.gain_bits,
                layer.pinned,
                shapes.get(layer.layer.name),
            )
            for layer, weight, worth, floor in zip(layers, weights, worths, floors, strict=True)
        ]
        self.scores = scores
        self.graph = ChannelGraph.of(model)
        self.needed: list[Mask] = [np.asarray(floor.any(axis=(1, 2, 3))) for floor in floors]
        self._rows = self._stored()

    @cached_property
    def whole(self) -> Stage:
        """Tables of all channels. They are the longest part of the work, and `floor` needs none."""
        return self._stage(self._rows)

    def _stored(self) -> list[Mask]:
        """Return the channels that have weights now and that some layer reads.

        The costs of a table that counted the others would be far from those of an export.
        """
        masks = [layer.mask.detach().cpu().numpy() > 0 for layer in self.model.layers()]
        rows = stored_rows(self.graph, masks)
        return [stored | needed for stored, needed in zip(rows, self.needed, strict=True)]

    def floor(self) -> Projection:
        """Return the smallest network: a path of weights for every output, one value a layer."""
        masks = [state.floor for state in self.states]
        worth = sum(
            float(score[~mask].sum()) for score, mask in zip(self.scores, masks, strict=True)
        )
        levels = [1] * len(masks)
        return Projection(masks, levels, self.exact(masks, levels), 0, worth, [0] * len(masks))

    def fitting(self, *, close: float = CLOSE) -> Projection | None:
        """Return the best projection found whose exact costs meet the target.

        With several budgets the scale is weighted towards the budgets that are exceeded or nearly
        so, and the projection is made again.

        Parameters
        ----------
        close : float
            Share of the budget that the search may leave. A smaller share takes longer.
        """
        self.close = close
        best = self._search(self._fitting)
        for _ in range(SCALE_STEPS if len(self.target.limits) > 1 else 0):
            costs = best.costs if best else self.floor().costs
            limits = self.target.limits
            heavier = self.scale.towards({b: cost / limits[b] for b, cost in costs.items()})
            if heavier.near(self.scale):
                break
            self._rescale(heavier)
            found = self._search(self._fitting)
            if found is not None and (best is None or found.distortion < best.distortion):
                best = found
        if best is None:
            best = self.floor()
        return best if self.target.admits(best.costs) else None

    def _rescale(self, scale: Scale) -> None:
        self.scale = scale
        tables = self.whole.tables
        hulls = [table.hull(scale.costs(table.costs)) for table in tables]
        self.whole = replace(self.whole, hulls=hulls)

    def _search(self, pick: Callable[[Stage], Choice | None]) -> Projection | None:
        """Return the best choice, maybe without channels that cost more than they are worth."""
        best = pick(self.whole)
        for _ in range(CHANNEL_ROUNDS):
            smaller = self._smaller(best or self.choice(self.whole, 0))
            found = pick(smaller) if smaller else None
            if found is None or (best is not None and found.distortion > SAME * best.distortion):
                break
            best = found
        if best is None:
            return None
        if 1 - self.target.excess(best.costs) > self.close:
            near = [option.nonzeros for option in best.chosen]
            found = pick(self._stage(best.stage.rows, near=near))
            if found is not None:
                best = min(best, found, key=_distortion)
        return Projection(
            best.masks,
            [option.levels for option in best.chosen],
            best.costs,
            best.budget,
            best.distortion,
            [int((~row).sum()) for row in best.stage.rows],
        )

    def _smaller(self, found: Choice) -> Stage | None:
        """Return the stage without channels that cost more than their worth, if there are any."""
        rows = found.stage.rows
        smaller = without_channels(
            self.graph,
            rows,
            self.needed,
            self._shares(found),
            price(found.stage.hulls, found.chosen),
        )
        if all(np.array_equal(a, b) for a, b in zip(rows, smaller, strict=True)):
            return None
        return self._stage(smaller)

    def _fitting(self, stage: Stage) -> Choice | None:
        """Return the choice of the least loss found whose exact costs meet the target."""

        def take(chosen: list[Option], bits: int) -> tuple[float, Choice]:
            found = self._sized(self._made(stage, chosen, bits))
            return self.target.excess(found.costs), found

        return richest(stage.hulls, self.scale.whole, take, self.close)

    def choice(self, stage: Stage, bits: int) -> Choice:
        """Return the choice for a knapsack budget; if that is too small, the cheapest options."""
        chosen = choose(stage.hulls, max(bits, stage.least_bits))
        assert chosen is not None
        return self._made(stage, chosen, bits)

    def _made(self, stage: Stage, chosen: list[Option], bits: int) -> Choice:
        """Return the choice of the options that a knapsack chose, with their masks."""
        masks = [
            table.mask(option, state.weight.shape)
            for table, option, state in zip(stage.tables, chosen, self.states, strict=True)
        ]
        worth = sum(option.distortion for option in chosen)
        return Choice(stage, chosen, masks, worth, bits)

    def _sized(self, found: Choice) -> Choice:
        """Return a choice with its exact costs."""
        levels = [option.levels for option in found.chosen]
        return replace(found, costs=self.exact(found.masks, levels))

    def exact(self, masks: list[Mask], levels: list[int]) -> dict[str, float]:
        """Return the exact costs of a network of these masks and numbers of values."""
        engine = self.target.engine
        return self.target.costs(masked_network(self.model, masks, levels, self.bias_bits, engine))

    def _stage(self, rows: list[Mask], *, near: Sequence[int] | None = None) -> Stage:
        def table(at: int) -> LayerOptions:
            state = self.states[at]
            inputs = self.graph.inputs(rows, at, state.weight.shape[1])
            count = None if near is None else near[at]
            return layer_options(state, rows[at], inputs, self.target.engine, near=count)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            tables = list(pool.map(table, range(len(self.states))))
        hulls = [table.hull(self.scale.costs(table.costs)) for table in tables]
        return Stage(rows, tables, hulls)

    def _shares(self, found: Choice) -> list[ChannelShares]:
        """Return the cost and the worth of each channel in a choice."""
        payload = set(self.target.limits) == {"payload"}
        shares = []
        for state, table, option, mask in zip(
            self.states, found.stage.tables, found.chosen, found.masks, strict=True
        ):
            stored = mask
            if table.stored.stores_zeros[option.index] and not payload:
                stored = np.zeros(mask.shape, dtype=bool)
                stored[np.ix_(mask.any(axis=(1, 2, 3)), table.inputs)] = True
            records = self.scale.a_record_bit * int(table.records[option.index])
            each = (option.bits - records) / max(1, int(stored.sum()))
            # Training decides the value of each weight: all that are kept and alive count alike.
            used = mask & state.alive
            kept = float(np.where(used, state.score, 0).sum(dtype=np.float64))
            score = used * (kept / max(1, int(used.sum())) * table.slope[option.index])
            rows = max(1, int(mask.any(axis=(1, 2, 3)).sum()))
            shares.append(
                ChannelShares(
                    row_cost=each * stored.sum(axis=(1, 2, 3)) + records / rows,
                    column_cost=each * stored.sum(axis=0).sum(axis=(1, 2)),
                    row_worth=score.sum(axis=(1, 2, 3), dtype=np.float64),
                    column_worth=score.sum(axis=(0, 2, 3), dtype=np.float64),
                )
            )
        return shares


def _distortion(found: Choice) -> float:
    return found.distortion

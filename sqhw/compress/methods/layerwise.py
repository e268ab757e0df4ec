"""Pruning and quantization of a network without training, layer by layer under a budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sqhw.arrays import Floats32, Floats64, Mask
from sqhw.compress.choice.floor import floor_masks
from sqhw.compress.choice.masked import masked_network
from sqhw.compress.choice.target import Target
from sqhw.compress.methods.input_sums import BATCH, InputSums, as_matrix, solved
from sqhw.compress.methods.layer_codebook import codebook_of, whole
from sqhw.compress.methods.layer_statistics import (
    damped_hessian,
    float_output,
    input_sums,
    linear_output,
    output_worth,
)
from sqhw.compress.methods.obs import (
    Layer,
    Pruned,
    path_counts,
    prune_path,
    quantize_rows,
    solve_rows,
)
from sqhw.compress.methods.result import integer_network, stream_bits
from sqhw.compress.methods.run import Run
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.knapsack import Option, choose, hull
from sqhw.frontends.torch_module.float_module import Pair, activated, max_pool_pair, normalise
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv
from sqhw.network.walk import run_graph
from sqhw.size.layer_result import LayerResult

#: Number of bisections of the knapsack's budget.
SEARCH_STEPS = 14
#: Number of options of a layer whose loss is measured, and the temperature of the softmax for it.
PROBES, TEMPERATURE = 3, 4.0


@dataclass(frozen=True, eq=False)
class _Choice:
    """An option of a layer with its pruned weights and the width of a code."""

    option: Option
    pruned: Pruned
    bits: int


@dataclass(frozen=True)
class LayerwiseOptions:
    """Options of `Layerwise`.

    Parameters
    ----------
    images : int
        Number of images for the Hessians.
    most_bits : int
        Largest width of a code.
    damp : float
        Share of a Hessian's mean diagonal that is added to it.
    bias_bits : int
        Largest width of a bias.
    seed : int
        Seed of the random directions that weight the outputs.
    """

    images: int
    most_bits: int
    damp: float
    bias_bits: int
    seed: int


class Layerwise:
    """A network as quadratic problems of its layers, with a table of options for each.

    Parameters
    ----------
    run : Run
    options : LayerwiseOptions
    target : Target
        Target whose bases the tables are made for. Its limits may change later.
    """

    def __init__(self, run: Run, options: LayerwiseOptions, target: Target) -> None:
        self.run, self.settings, self.target = run, options, target
        self.network = run.network
        self.convs = [layer for layer in self.network.convs if layer.trained]
        order = torch.randperm(len(run.images), generator=run.generator)
        self.images = run.images[order[: options.images]]
        self.wanted = self._outputs(*self._float_values())
        seen = input_sums(self.network, self.images)
        worth = output_worth(self.network, self.images, options.seed)
        self.problems = [
            Layer(as_matrix(layer), self._hessian(sums), g)
            for layer, sums, g in zip(self.convs, seen, worth, strict=True)
        ]
        floors = floor_masks(
            self.network,
            [
                (p.weight**2 * p.worth[:, None]).reshape(layer.weight.shape)
                for p, layer in zip(self.problems, self.convs, strict=True)
            ],
        )
        self.choices = []
        for index, (problem, floor) in enumerate(zip(self.problems, floors, strict=True)):
            choices = self._options(self.convs[index], problem, floor)
            self.choices.append(self._measured(index, choices, seen[index].mean))
            detail = self.convs[index].name
            self.run.progress("options", index + 1, len(self.problems), detail)

    def at(self, target: Target) -> Snapshot:
        """Return the compressed network within a budget."""
        self.target = target
        chosen = self._fitting(self.choices)
        # In a layer that adds a skip connection the unit of the weights follows from the units of
        # the activations, which only a first pass gives.
        first = self._finished(chosen, {})
        if all(layer.residual is None for layer in self.convs):
            return first
        return self._finished(chosen, self._units(first))

    def _units(self, snapshot: Snapshot) -> dict[str, float]:
        """Return the unit of the integer weights of each layer that adds a skip connection."""
        images = self.images.numpy()
        found = integer_network(
            snapshot.applied(self.network),
            images,
            self._engine,
            {},
            bias_bits=self.settings.bias_bits,
            trained=True,  # the second pass fits the weights to these units
        )
        return {
            layer.name: float(layer.weight_scale[0])
            for layer in found.convs
            if layer.residual is not None
        }

    def _hessian(self, sums: InputSums) -> Floats64:
        return damped_hessian(sums, len(self.images), self.settings.damp)

    def _options(self, layer: FloatConv, problem: Layer, floor: Mask) -> list[_Choice]:
        always = floor.reshape(problem.weight.shape)
        counts = path_counts(problem, int(always.sum()))
        found = []
        for pruned in prune_path(problem, counts, always):
            widths = range(1, self.settings.most_bits + 1)
            books = [codebook_of(problem, pruned, bits) for bits in widths]
            found_at = quantize_rows(problem, pruned, books)
            for bits, book, taken in zip(widths, books, found_at, strict=True):
                weight = taken.reshape(layer.weight.shape).astype(np.float32)
                result = LayerResult(layer.name, weight, weight.size)
                payload = set(self.target.limits) == {"payload"}
                cost = result.nonzeros * bits if payload else stream_bits(result, self._engine)
                count = int(pruned.mask.sum())
                option = Option(cost, problem.loss(taken), count, len(book.levels))
                found.append(_Choice(option, pruned, bits))
        return found

    def _measured(self, index: int, choices: list[_Choice], mean: Floats64) -> list[_Choice]:
        """Return the options of a layer with losses on the scale of the network's outputs.

        The quadratic loss ranks the options of a layer well. It does not see how the errors of
        neighbouring positions add up, so it does not compare layers. Therefore some options along
        the hull are put into the network, and the divergence of its outputs sets the scale.
        """
        by_option = {id(choice.option): choice for choice in choices}
        options = hull([choice.option for choice in choices])
        places = np.unique(np.linspace(0, len(options) - 1, PROBES + 2).astype(int)[1:-1])
        guessed, measured = [], []
        for option in (options[place] for place in places):
            if option.distortion > 0:
                guessed.append(math.log(option.distortion))
                choice = by_option[id(option)]
                problem = self.problems[index]
                book = codebook_of(problem, choice.pruned, choice.bits)
                [taken] = quantize_rows(problem, choice.pruned, [book])
                loss = self._divergence(index, taken, mean)
                measured.append(math.log(max(loss, 1e-12)) - guessed[-1])
        if not guessed:
            return choices
        order = np.argsort(guessed)
        at, factor = np.array(guessed)[order], np.array(measured)[order]
        found = []
        for choice in choices:
            loss = choice.option.distortion
            if loss > 0:
                loss *= math.exp(float(np.interp(math.log(loss), at, factor)))
            found.append(replace(choice, option=replace(choice.option, distortion=loss)))
        return found

    def _divergence(self, index: int, weight: Floats64, mean: Floats64) -> float:
        """Return the divergence of the outputs with other weights, and their bias, in a layer."""
        weights, biases = self._float_values()
        layer = self.convs[index]
        error = ((as_matrix(layer) - weight) * mean[self.problems[index].groups]).sum(axis=1)
        weights[index] = weight.reshape(layer.weight.shape).astype(np.float32)
        biases[index] = (layer.bias + error).astype(np.float32)
        found = self._outputs(weights, biases)
        return float(functional.kl_div(found, self.wanted, reduction="batchmean", log_target=True))

    def _float_values(self) -> tuple[list[Floats32], list[Floats32]]:
        return [layer.weight for layer in self.convs], [layer.bias for layer in self.convs]

    def _outputs(self, weights: list[Floats32], biases: list[Floats32]) -> Tensor:
        logits = self.run.logits(Snapshot.plain(weights, biases), self.images).double()
        return torch.log_softmax(logits / TEMPERATURE, dim=1)

    @property
    def _engine(self) -> EngineConfig:
        return self.target.engine

    def _fitting(self, choices: list[list[_Choice]]) -> list[_Choice]:
        """Return the best choices found, one for each layer, whose exact cost meets the budget."""
        hulls = [hull([choice.option for choice in layer]) for layer in choices]
        by_option = [{id(c.option): c for c in layer} for layer in choices]
        model = QatNetwork(self.network)
        low, high = (sum(options[end].bits for options in hulls) for end in (0, -1))

        def at(bits: int) -> tuple[list[_Choice], dict[str, float]]:
            picked = choose(hulls, bits)
            assert picked is not None
            taken = [names[id(option)] for names, option in zip(by_option, picked, strict=True)]
            masks = [
                choice.pruned.mask.reshape(layer.weight.shape)
                for choice, layer in zip(taken, self.convs, strict=True)
            ]
            levels = [choice.option.levels for choice in taken]
            whole = masked_network(model, masks, levels, self.settings.bias_bits, self._engine)
            return taken, self.target.costs(whole)

        best, costs = at(high)
        if self.target.admits(costs):
            return best
        best, costs = at(low)
        if not self.target.admits(costs):
            raise self.target.refusal(self.network.name, costs)
        for _ in range(SEARCH_STEPS):
            middle = (low + high) // 2
            taken, costs = at(middle)
            if self.target.admits(costs):
                low, best = middle, taken
            else:
                high = middle
        return best

    def _finished(self, chosen: list[_Choice], units: dict[str, float]) -> Snapshot:
        """Return the quantized layers, each fitted on its inputs from compressed layers.

        The values of codebooks are multiples of the unit in `units`, or without one of 1/127 of
        the largest value.
        """
        weights: list[Floats32] = []
        biases: list[Floats32] = []

        def conv(layer: FloatConv, pairs: Mapping[str, Pair]) -> Pair:
            real, ours = ({name: pair[at] for name, pair in pairs.items()} for at in (0, 1))
            if not layer.trained:
                return float_output(layer, real), float_output(layer, ours)
            index = len(weights)
            want = linear_output(layer, real, layer.weight, layer.bias)
            sums = InputSums.empty(layer)
            pull = want - linear_output(layer, ours, layer.weight, layer.bias)
            for x, error in zip(
                torch.split(ours[layer.source], BATCH), torch.split(pull, BATCH), strict=True
            ):
                sums.add(x, layer, error=error)
            seen = self._hessian(sums)
            aim = self.problems[index].weight + solved(seen, sums.towards() / len(self.images))
            problem = Layer(aim, seen, self.problems[index].worth)
            pruned = solve_rows(problem, chosen[index].pruned.mask)
            book = whole(codebook_of(problem, pruned, chosen[index].bits), units.get(layer.name))
            found = quantize_rows(problem, pruned, [book])[0].reshape(layer.weight.shape)
            weights.append(found.astype(np.float32))
            have = linear_output(layer, ours, weights[-1], layer.bias)
            off = (want - have).mean(dim=(0, 2, 3)).numpy()
            alive = (weights[-1] != 0).any(axis=(1, 2, 3)) | (layer.residual is not None)
            biases.append((layer.bias + off * alive).astype(np.float32))
            y = activated(linear_output(layer, ours, weights[-1], biases[-1]), layer)
            self.run.progress("quantize", len(weights), len(self.convs), layer.name)
            return activated(want, layer), y

        images = normalise(self.images, self.network)
        run_graph(self.network, (images, images), conv, max_pool_pair)
        return Snapshot.plain(weights, biases)

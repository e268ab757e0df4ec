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
from sqhw.compress.methods.obs import Layer, Pruned, damped, prune_path, quantize_rows, solve_rows
from sqhw.compress.methods.result import integer_network, stream_bits
from sqhw.compress.methods.run import Run
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.qat.integers import WEIGHT_TOP
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.quantizers.kmeans import KMeansQuantizer
from sqhw.cost_models.knapsack import Option, choose, hull
from sqhw.frontends.torch_module.float_module import (
    Pair,
    activated,
    max_pool,
    max_pool_pair,
    normalise,
    preactivation,
)
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv
from sqhw.network.walk import run_graph
from sqhw.size.layer_result import LayerResult

ROUNDING = 2.4e-7  # of sums in float32, relative to the mean square; errors of columns add up
SEARCH_STEPS = 14
RATIO = 0.8  # between neighbouring numbers of weights
#: Rows times the cubed weights of one, beyond which a layer's path begins at a lower density: the
#: inverses of a step take about three such products.
WORK = 8e9
#: Options of a layer whose loss is measured, and the temperature of the softmax that measures it.
PROBES, TEMPERATURE = 3, 4.0


@dataclass(frozen=True, eq=False)
class _Choice:
    """An option of a layer with what it stands for."""

    option: Option
    pruned: Pruned
    bits: int


@dataclass(frozen=True)
class LayerwiseOptions:
    """What `Layerwise` may choose from and how it counts.

    Parameters
    ----------
    images : int
        For the Hessians.
    most_bits : int
        Of a code.
    damp : float
        Share of a Hessian's mean diagonal that is added to it.
    bias_bits : int
    seed : int
        Of the random directions that outputs are weighed by.
    gain_bits : int
        Bits of each channel's record that are left for a gain.
    """

    images: int
    most_bits: int
    damp: float
    bias_bits: int
    seed: int
    gain_bits: int


class Layerwise:
    """A network as quadratic problems of its layers, and what each may become.

    Parameters
    ----------
    run : Run
    options : LayerwiseOptions
    target : Target
        Its bases; limits may be others later.
    """

    def __init__(self, run: Run, options: LayerwiseOptions, target: Target) -> None:
        self.run, self.settings, self.target = run, options, target
        self.network = run.network
        self.convs = [layer for layer in self.network.convs if layer.trained]
        order = torch.randperm(len(run.images), generator=run.generator)
        self.images = run.images[order[: options.images]]
        self.wanted = self._outputs(*self._float_values())
        seen, worth = self._inputs(), self._worth()
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
        # Beside a skip connection the unit of the weights follows from those of the activations:
        # it is known once they are.
        first = self._finished(chosen, {})
        if all(layer.residual is None for layer in self.convs):
            return first
        return self._finished(chosen, self._units(first))

    def _units(self, snapshot: Snapshot) -> dict[str, float]:
        """Return the real value of an integer weight of 1 where a layer adds a skip connection."""
        images = self.images.numpy()
        found = integer_network(
            snapshot.applied(self.network),
            images,
            self._engine,
            {},
            bias_bits=self.settings.bias_bits,
            trained=True,  # by the second pass, on these units
        )
        return {
            layer.name: float(layer.weight_scale[0])
            for layer in found.convs
            if layer.residual is not None
        }

    def _inputs(self) -> list["InputSums"]:
        """Return the sums over each layer's inputs in the float network."""
        found: dict[str, InputSums] = {}

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            if layer.trained:
                sums = found.setdefault(layer.name, InputSums.empty(layer))
                sums.add(tensors[layer.source], layer)
            return _output(layer, tensors)

        for part in torch.split(self.images, BATCH):
            run_graph(self.network, normalise(part, self.network), conv, max_pool)
        return [found[layer.name] for layer in self.convs]

    def _hessian(self, sums: "InputSums") -> Floats64:
        """Return the damped Hessian of an image; the biases take up what all positions share.

        Of inputs that never change nothing but the rounding of their sums is left.
        """
        count = len(self.images)
        rounding = ROUNDING * np.trace(sums.second, axis1=1, axis2=2) / count
        return np.stack(
            [
                damped(h / count, self.settings.damp, least=float(least))
                for h, least in zip(sums.centred(), rounding, strict=True)
            ]
        )

    def _worth(self) -> list[Floats64]:
        """Return the mean squared gradient of each output channel of each layer.

        The gradients are those of random directions with the covariance of the softmax, as in
        `sqhw.compress.choice.fisher`.
        """
        totals = [np.zeros(len(layer.bias)) for layer in self.convs]
        generator = torch.Generator().manual_seed(self.settings.seed)
        shifts: list[Tensor] = []

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            if not layer.trained:
                return _output(layer, tensors)
            y = _linear(layer, tensors, layer.weight, layer.bias)
            shifts.append(torch.zeros_like(y, requires_grad=True))
            return activated(y + shifts[-1], layer)

        for part in torch.split(self.images, BATCH):
            shifts.clear()
            x = normalise(part, self.network)
            logits = run_graph(self.network, x, conv, max_pool).flatten(1)
            share = torch.softmax(logits.detach() / 4.0, dim=1)
            noise = share.sqrt() * torch.randn(logits.shape, generator=generator)
            direction = noise - share * noise.sum(1, keepdim=True)
            grads = torch.autograd.grad((direction * logits).sum(), shifts)
            for total, grad in zip(totals, grads, strict=True):
                total += (grad.double() ** 2).mean(dim=(2, 3)).sum(0).numpy()
        least = 1e-12
        return [total / len(self.images) + least for total in totals]

    def _options(self, layer: FloatConv, problem: Layer, floor: Mask) -> list[_Choice]:
        always = floor.reshape(problem.weight.shape)
        least, size = int(always.sum()), problem.weight.size
        rows, columns = problem.weight.shape
        share = min(1.0, (WORK / (rows * columns**3)) ** (1 / 3))
        counts = [size] if share == 1 else [size, max(least, int(share * size))]
        while counts[-1] > least:
            counts.append(max(least, int(RATIO * counts[-1])))
        found = []
        for pruned in prune_path(problem, counts, always):
            widths = range(1, self.settings.most_bits + 1)
            books = [self._book(problem, pruned, bits) for bits in widths]
            found_at = quantize_rows(problem, pruned, books)
            for bits, book, taken in zip(widths, books, found_at, strict=True):
                weight = taken.reshape(layer.weight.shape).astype(np.float32)
                result = LayerResult(layer.name, weight, size)
                payload = set(self.target.limits) == {"payload"}
                cost = result.nonzeros * bits if payload else stream_bits(result, self._engine)
                count = int(pruned.mask.sum())
                option = Option(cost, problem.loss(taken), count, len(book.levels))
                found.append(_Choice(option, pruned, bits))
        return found

    def _measured(self, index: int, choices: list[_Choice], mean: Floats64) -> list[_Choice]:
        """Return the options of a layer with losses that suit what the network makes of them.

        The quadratic loss ranks the options of a layer well, but knows nothing of how the errors of
        neighbouring positions add up, so it does not compare layers. Some options along the hull
        are therefore put into the network, and the divergence of its outputs sets the scale.
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
                book = self._book(problem, choice.pruned, choice.bits)
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
        """Return how far the outputs diverge with other weights and the right bias in a layer."""
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
        logits = self.run.logits(Snapshot(weights, biases), self.images).double()
        return torch.log_softmax(logits / TEMPERATURE, dim=1)

    def _book(self, problem: Layer, pruned: Pruned, bits: int) -> Codebook:
        """Return the codebook of the kept weights, errors counted by the Hessian's diagonal."""
        diagonal = np.array([np.diag(h) for h in problem.hessian])[problem.groups]
        worth = problem.worth[:, None] * diagonal
        quantizer = KMeansQuantizer(bits, start="quantile", pinned_zero=False)
        book = quantizer.fit(pruned.weight[pruned.mask], worth[pruned.mask])
        if 0.0 in book.levels and len(book.levels) > 1:
            return Codebook.nearest(book.levels[book.levels != 0])
        return book

    @property
    def _engine(self) -> EngineConfig:
        return self.target.engine

    def _fitting(self, choices: list[list[_Choice]]) -> list[_Choice]:
        """Return the best choice of each layer whose exact cost meets the budget."""
        hulls = [hull([choice.option for choice in layer]) for layer in choices]
        by_option = [{id(c.option): c for c in layer} for layer in choices]
        model = QatNetwork(self.network)
        for layer in model.learning_layers():
            layer.learn_gains(self.settings.gain_bits)
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
        """Quantize first layer to last, each on what reaches it from the compressed ones.

        Codebooks are of whole numbers: of the units that are given, else of 1/127 of the largest
        value.
        """
        weights: list[Floats32] = []
        biases: list[Floats32] = []

        def conv(layer: FloatConv, pairs: Mapping[str, Pair]) -> Pair:
            real, ours = ({name: pair[at] for name, pair in pairs.items()} for at in (0, 1))
            if not layer.trained:
                return _output(layer, real), _output(layer, ours)
            index = len(weights)
            want = _linear(layer, real, layer.weight, layer.bias)
            sums = InputSums.empty(layer)
            pull = want - _linear(layer, ours, layer.weight, layer.bias)
            for x, error in zip(
                torch.split(ours[layer.source], BATCH), torch.split(pull, BATCH), strict=True
            ):
                sums.add(x, layer, error=error)
            seen = self._hessian(sums)
            aim = self.problems[index].weight + solved(seen, sums.towards() / len(self.images))
            problem = Layer(aim, seen, self.problems[index].worth)
            pruned = solve_rows(problem, chosen[index].pruned.mask)
            book = whole(self._book(problem, pruned, chosen[index].bits), units.get(layer.name))
            found = quantize_rows(problem, pruned, [book])[0].reshape(layer.weight.shape)
            weights.append(found.astype(np.float32))
            have = _linear(layer, ours, weights[-1], layer.bias)
            off = (want - have).mean(dim=(0, 2, 3)).numpy()
            alive = (weights[-1] != 0).any(axis=(1, 2, 3)) | (layer.residual is not None)
            biases.append((layer.bias + off * alive).astype(np.float32))
            y = activated(_linear(layer, ours, weights[-1], biases[-1]), layer)
            self.run.progress("quantize", len(weights), len(self.convs), layer.name)
            return activated(want, layer), y

        images = normalise(self.images, self.network)
        run_graph(self.network, (images, images), conv, max_pool_pair)
        return Snapshot(weights, biases)


def whole(book: Codebook, unit: float | None) -> Codebook:
    """Return a codebook of multiples, up to 127, of a unit; values nearest to 0 become 0.

    Parameters
    ----------
    book : Codebook
        Without zero.
    unit : float, optional
        By default the one in which its largest value is 127.
    """
    unit = unit or float(np.abs(book.levels).max()) / WEIGHT_TOP or 1.0
    steps = np.clip(np.round(book.levels / unit), -WEIGHT_TOP, WEIGHT_TOP)
    return Codebook.nearest(steps * unit)


def _linear(
    layer: FloatConv, tensors: Mapping[str, Tensor], weight: Floats32, bias: Floats32
) -> Tensor:
    """Return a layer's output before its activation function."""
    return preactivation(layer, tensors, torch.from_numpy(weight), torch.from_numpy(bias))


def _output(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the output of a layer of the float network."""
    return activated(_linear(layer, tensors, layer.weight, layer.bias), layer)

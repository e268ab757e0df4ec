"""Compression without training: magnitude pruning, k-means codebooks, calibration on some images.

It takes seconds where the compressor takes minutes, for accuracy that falls fast with density: for
comparing formats and devices, for networks that keep most of their weights, and for cycle studies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.arrays import Floats32, Mask
from sqhw.compiler.format_choice import least_stream_bits
from sqhw.compress.calibration.bias_correction import correct_biases
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.calibration.channel_gains import channel_gains, may_have_gains
from sqhw.compress.calibration.channel_scales import Scaling, best_scaling, scalings
from sqhw.compress.calibration.equalise import map_facts, telling_channels, worth_keeping
from sqhw.compress.calibration.limit_notes import limit_notes
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.codebook import SortedWeights, kmeans
from sqhw.compress.qat.integers import GAIN_BITS, WEIGHT_TOP, held_gain_bits
from sqhw.compress.qat.layers import LearningConv
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.quantizers.codebook import Codebook
from sqhw.compress.quantizers.kmeans import lloyd
from sqhw.compress.training.bounds import check_bias_bits
from sqhw.errors import SqhwError, unknown_name
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.quantized import QuantizedNetwork
from sqhw.seeds import check_seed

Values = npt.NDArray[np.float64]

LLOYD_STEPS = 30
MAX_BITS = 8
RANDOM_IMAGES = 8


@dataclass(frozen=True, kw_only=True)
class QuantizeSettings:
    """Options of `quantize`.

    Parameters
    ----------
    density : float, 0 to 1, or mapping of str to float
        Share of the weights that each trained layer keeps at most; layers that a mapping does not
        name may keep all.
    bits : int, 1 to 8, or mapping of str to int
        Layers that a mapping does not name have 8.
    ends_density : float, optional
        For the first and the last trained layer, which suffer most and are small.
    bias_bits : int, 4 to 16
        Width that biases are rounded to at most.
    objective : {"rom", "cycles"}
        What the streams are chosen for, see `sqhw.compiler.format_choice.cheapest_streams`.
    threads : int
        Cores to use.
    """

    density: float | Mapping[str, float] = 1.0
    bits: int | Mapping[str, int] = 8
    ends_density: float | None = None
    bias_bits: int = 12
    objective: str = "rom"
    threads: int = 1

    def __post_init__(self) -> None:
        check_bias_bits(self.bias_bits)


def quantize(
    network: FloatNetwork,
    images: npt.NDArray[Any],
    engine: EngineConfig,
    *,
    settings: QuantizeSettings | None = None,
) -> QuantizedNetwork:
    """Quantize a trained network without training.

    The largest weights of each layer are kept, of equal ones the first. Their values become the
    ``2**bits`` centroids of a k-means with a further one at 0, with 8 bits steps of 1/127 of the
    largest. Weights that are nearest to 0 go, and so do those below half of such a step. Channels
    of different ranges have gains, factors, both or none, whichever is the most exact on some of
    the images (`sqhw.compress.calibration.channel_scales`). Biases take up the mean error that all
    of this leaves in each channel.

    Parameters
    ----------
    network : FloatNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels to calibrate on; a hundred do.
    engine : EngineConfig
    settings : QuantizeSettings, optional

    Raises
    ------
    SqhwError
        If a layer is named that does not exist or is not trained, a number or pixel is out of
        range, or the engine's accumulators are too narrow.
    """
    names = [layer.name for layer in network.convs if layer.trained]
    settings = settings or QuantizeSettings()
    densities = _each(settings.density, names, 1.0, "density")
    widths = _each(settings.bits, names, MAX_BITS, "bits")
    if settings.ends_density is not None:
        densities[names[0]] = densities[names[-1]] = settings.ends_density
    for name in names:
        _check(name, densities[name], widths[name])
    pixels = torch.from_numpy(np.asarray(images).astype(np.float32))
    if pixels.shape[1:] != network.input_shape or not len(pixels):
        raise SqhwError(
            f"network {network.name!r} is calibrated on images of shape {network.input_shape}, "
            f"not on {len(pixels)} of {tuple(pixels.shape[1:])}"
        )
    lo, hi = float(pixels.min()), float(pixels.max())
    if lo < 0 or hi > network.input_max:
        raise SqhwError(
            f"network {network.name!r} takes pixels of 0 to {network.input_max}, the calibration "
            f"images have {lo:g} to {hi:g}"
        )
    with torch_threads(settings.threads):
        facts = map_facts(network, pixels)
        telling = telling_channels(network, facts)
        worth = worth_keeping(network, telling)

        def made(scaling: Scaling, images: Tensor) -> QatNetwork | None:
            model = QatNetwork(scaling.network)
            for layer in model.learning_layers():
                name = layer.layer.name
                most = float(scaling.facts[name].largest.max()) if scaling.gains else None
                _project(layer, densities[name], widths[name], most, worth[name], engine)
            if scaling.gains and not any(layer.gain_bits for layer in model.layers()):
                return None
            correct_biases(model, images)
            _calibrate(model, images, engine, settings.bias_bits)
            return model

        best, model = best_scaling(scalings(network, facts, pixels, engine), pixels, engine, made)
        metadata = {"method": "one-shot", "channel_scales": best.name}
        if notes := limit_notes(model, pixels, engine, telling):
            metadata["notes"] = "\n".join(notes)
        return _exported(model, engine, settings.objective, metadata)


def random_quantized(
    network: FloatNetwork,
    engine: EngineConfig,
    density: float,
    bits: int,
    seed: int,
    *,
    objective: str = "rom",
) -> QuantizedNetwork:
    """Return a network of the same topology with random sparse weights, for cycle studies.

    Each trained layer keeps exactly ``density`` of its weights, at least one, at random places;
    their values are normal with the spread that keeps activations alive. It answers what a topology
    costs; as a classifier it is worthless.

    Parameters
    ----------
    network : FloatNetwork
        Its weights are not used.
    engine : EngineConfig
    density : float, above 0, at most 1
    bits : int, 1 to 8
        Width of a code.
    seed : int
        Fixes masks, values and the noise images that it is calibrated on.
    objective : {"rom", "cycles"}
        What the streams are chosen for.
    """
    rng = np.random.default_rng(check_seed(seed))
    layers = []
    for layer in network.layers:
        if isinstance(layer, FloatConv) and layer.trained:
            _check(layer.name, density, bits)
            mask = largest(rng.random(layer.weight.shape, dtype=np.float32), density)
            spread = np.sqrt(2 / (density * np.prod(layer.weight.shape[1:])))
            weight = rng.standard_normal(layer.weight.shape, dtype=np.float32) * mask * spread
            bias = 0.1 * rng.standard_normal(len(layer.bias), dtype=np.float32)
            layer = replace(layer, weight=weight.astype(np.float32), bias=bias)
        layers.append(layer)
    network = replace(network, layers=tuple(layers))
    shape = (RANDOM_IMAGES, *network.input_shape)
    pixels = torch.from_numpy(rng.integers(0, network.input_max + 1, shape).astype(np.float32))
    with torch_threads(1):
        model = QatNetwork(network)
        for step in model.learning_layers():
            values = step.weight.detach().numpy()
            step.set_projection(values != 0, _random_values(values[values != 0], bits))
        metadata = {"method": "random", "seed": str(seed)}
        _calibrate(model, pixels, engine, 12)
        return _exported(model, engine, objective, metadata)


def _random_values(kept: Floats32, bits: int) -> Values:
    """Return a codebook without 0, so that the density stays what it is."""
    if bits == MAX_BITS:
        return _uniform(float(np.abs(kept).max()))
    values = np.sort(kept.astype(np.float64))
    return kmeans(SortedWeights.make(values, np.ones(len(values))), 1 << bits, steps=LLOYD_STEPS)[0]


def _check(name: str, density: float, bits: int) -> None:
    if not 0 < density <= 1:
        raise SqhwError(f"layer {name!r}: density must be above 0 and at most 1, not {density}")
    if not 1 <= bits <= MAX_BITS:
        raise SqhwError(f"layer {name!r}: bits must be 1 to {MAX_BITS}, not {bits}")


def largest(score: npt.NDArray[np.floating[Any]], density: float) -> Mask:
    """Return where the largest scores are, a share of `density` but at least one.

    Of equal scores the first are taken.
    """
    count = max(1, round(density * score.size))
    flat = score.reshape(-1)
    least = np.partition(flat, flat.size - count)[flat.size - count]
    mask: Mask = flat > least
    mask[np.flatnonzero(flat == least)[: count - int(mask.sum())]] = True
    return np.reshape(mask, score.shape)


def _each(value: Any, names: list[str], default: Any, what: str) -> dict[str, Any]:
    """Return one value a layer."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    for name in value:
        if name not in names:
            raise unknown_name(f"layer in {what}", name, names)
    return {name: value.get(name, default) for name in names}


def _project(
    layer: LearningConv,
    density: float,
    bits: int,
    largest_output: float | None,
    worth: Mask,
    engine: EngineConfig,
) -> None:
    """Give a layer its mask, its codebook and, if its largest output is told, gains."""
    weight = layer.weight.detach().numpy().copy()
    mask = largest(np.where(worth, np.abs(weight), 0), density) & worth
    layer.may_vanish = True
    if largest_output is not None and may_have_gains(layer.layer, engine):
        gain = channel_gains(layer, np.where(mask, weight, 0), largest_output, engine)
        if gain.min() < gain.max():
            layer.set_gains(gain, held_gain_bits(GAIN_BITS, engine))
            weight = (weight / gain[:, None, None, None]).astype(np.float32)
    layer.set_projection(*_projection(weight, mask, bits, engine))


def _projection(
    weight: Floats32, mask: Mask, bits: int, engine: EngineConfig
) -> tuple[Mask, Values]:
    """Return a codebook, and the mask without the weights that are better off at 0."""
    top = float(np.abs(weight[mask]).max(initial=0.0))
    # Whatever the codebook, the engine's weights are multiples of 1/127 of the largest at best.
    mask = mask & (np.abs(weight) >= top / (2 * WEIGHT_TOP))
    if top == 0:
        return np.zeros_like(mask), np.ones(1)  # nothing but its bias
    if bits == MAX_BITS:
        return mask, _uniform(top)
    return _clustered(weight, mask, bits, engine)


def _uniform(top: float) -> Values:
    """Return steps of 1/127 of the largest magnitude, without 0."""
    steps = np.arange(-WEIGHT_TOP, WEIGHT_TOP + 1, dtype=np.float64)
    values: Values = top / WEIGHT_TOP * steps[steps != 0]
    return values


def _clustered(
    weight: Floats32, mask: Mask, bits: int, engine: EngineConfig
) -> tuple[Mask, Values]:
    """Return the mask and the codebook of a k-means one of whose centroids is 0.

    The 0 takes no code where the stream skips zeros. Where a dense stream of all weights is
    smaller, which has a code for it, there is a value less.
    """
    kept, book = _with_zero(weight, mask, 1 << bits)
    stored = int(kept.any(axis=(1, 2, 3)).sum()) * weight[0].size
    dense = stored * bits + (CODEBOOK_WIDTH << bits)
    if bits > 1 and dense < least_stream_bits(kept, len(book), engine):
        return _with_zero(weight, mask, (1 << bits) - 1)
    return kept, book


def _with_zero(weight: Floats32, mask: Mask, levels: int) -> tuple[Mask, Values]:
    """Return where weights are nearer to one of so many values than to 0, and the values."""
    values = np.sort(weight[mask].astype(np.float64))
    book = np.unique(values)
    if len(book) > levels:
        start = values[((np.arange(levels) + 0.5) / levels * len(values)).astype(np.int64)]
        ones = np.ones(len(values))
        found = lloyd(values, ones, start, pinned_zero=True, steps=LLOYD_STEPS, tolerance=0)
        book = np.unique(found.means)
    taken = Codebook.nearest(np.append(book, 0.0)).quantize(weight.astype(np.float64))
    return mask & (taken != 0), book


def _calibrate(model: QatNetwork, pixels: Tensor, engine: EngineConfig, bias_bits: int) -> None:
    """Bring a projected network to integers."""
    for layer in model.learning_layers():
        layer.freeze()
    calibrate(model, pixels, engine, bias_bits, trained=False)


def _exported(
    model: QatNetwork, engine: EngineConfig, objective: str, metadata: dict[str, str]
) -> QuantizedNetwork:
    network = model.network
    labels = {**network.metadata, **metadata, **network.size_labels}
    return export(model, engine, labels, objective=objective)

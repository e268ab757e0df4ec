"""Compression without training: magnitude pruning, k-means codebooks, calibration on some images.

It takes seconds where the compressor takes minutes, for accuracy that falls fast with density: for
comparing formats and devices, for networks that keep most of their weights, and for cycle studies.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.compress.assemble import export
from sqhw.compress.bias_correction import correct_biases
from sqhw.compress.bounds import check_bias_bits
from sqhw.compress.calibrate import calibrate
from sqhw.compress.codebook import SortedWeights, kmeans
from sqhw.compress.qat import QatNetwork
from sqhw.compress.qat_layers import QatConv
from sqhw.compress.threads import torch_threads
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError, unknown_name
from sqhw.float_network import FloatConv, FloatNetwork
from sqhw.network import QuantizedNetwork

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LLOYD_STEPS = 30
MAX_BITS = 8
RANDOM_IMAGES = 8


def quantize(
    network: FloatNetwork,
    images: npt.NDArray[Any],
    engine: EngineConfig,
    *,
    density: float | Mapping[str, float] = 1.0,
    bits: int | Mapping[str, int] = 8,
    ends_density: float | None = None,
    bias_bits: int = 12,
    objective: str = "rom",
    threads: int = 1,
) -> QuantizedNetwork:
    """Quantize a trained network without training.

    The largest weights of each layer are kept, of equal ones the first. Their values become the
    ``2**bits`` centroids of a k-means, with 8 bits steps of 1/127 of the largest. Biases take up
    the mean error that both leave in each channel.

    Parameters
    ----------
    network : FloatNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels to calibrate on; a hundred do.
    engine : EngineConfig
    density : float, 0 to 1, or mapping of str to float
        Share of the weights that each trained layer keeps, at least one; layers that a mapping
        does not name keep all.
    bits : int, 1 to 8, or mapping of str to int
        Layers that a mapping does not name have 8.
    ends_density : float, optional
        For the first and the last trained layer, which suffer most and are small.
    bias_bits : int, 4 to 16
        Width that biases are rounded to at most.
    objective : {"rom", "cycles"}
        What the streams are chosen for, see `sqhw.format_choice.cheapest_streams`.
    threads : int
        Cores to use.

    Raises
    ------
    SqhwError
        If a layer is named that does not exist or is not trained, a number or pixel is out of
        range, or the engine's accumulators are too narrow.
    """
    names = [layer.name for layer in network.convs if layer.trained]
    densities = _each(density, names, 1.0, "density")
    widths = _each(bits, names, MAX_BITS, "bits")
    if ends_density is not None:
        densities[names[0]] = densities[names[-1]] = ends_density
    for name in names:
        _check(name, densities[name], widths[name])
    check_bias_bits(bias_bits)
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
    with torch_threads(threads):
        model = QatNetwork(network)
        for layer in model.layers():
            weight = layer.weight.detach().numpy()
            mask = largest(np.abs(weight), densities[layer.layer.name])
            _project(layer, weight, mask, widths[layer.layer.name])
        correct_biases(model, pixels)
        return _finish(model, pixels, engine, bias_bits, objective, {"method": "one-shot"})


def random_quantized(
    network: FloatNetwork,
    engine: EngineConfig,
    density: float,
    bits: int,
    seed: int,
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
        Of a code.
    seed : int
        Fixes masks, values and the noise images that it is calibrated on.
    objective : {"rom", "cycles"}
        What the streams are chosen for.
    """
    rng = np.random.default_rng(seed)
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
        for step in model.layers():
            values = step.weight.detach().numpy()
            _project(step, values, values != 0, bits)
        metadata = {"method": "random", "seed": str(seed)}
        return _finish(model, pixels, engine, 12, objective, metadata)


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


def _project(layer: QatConv, weight: FloatArray, mask: Mask, bits: int) -> None:
    """Give a layer its mask and codebook; with 8 bits, steps of 1/127."""
    kept = weight[mask].astype(np.float64)
    top = float(np.abs(kept).max())
    if top == 0:
        book = np.array([1.0])  # the layer computes nothing but its bias
        mask = np.zeros_like(mask)
    elif bits == MAX_BITS:
        steps = np.arange(-127, 128)
        book = top / 127 * steps[steps != 0]
        mask = mask & (np.abs(weight) >= top / 254)
    else:
        values = np.sort(kept)
        book = kmeans(SortedWeights.make(values, np.ones(len(values))), 1 << bits, LLOYD_STEPS)[0]
    layer.set_projection(mask, book)


def _finish(
    model: QatNetwork,
    pixels: Tensor,
    engine: EngineConfig,
    bias_bits: int,
    objective: str,
    metadata: dict[str, str],
) -> QuantizedNetwork:
    """Calibrate and export."""
    for layer in model.layers():
        layer.freeze()
    calibrate(model, pixels, engine, bias_bits, trained=False)
    network = model.network
    labels = {**network.metadata, **metadata, **network.size_labels}
    return export(model, engine, labels, objective)

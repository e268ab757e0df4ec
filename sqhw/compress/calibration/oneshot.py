"""Compression without training: magnitude pruning, k-means codebooks, calibration on some images.

It takes seconds where the compressor takes minutes, and its accuracy falls fast with density. It is
meant to compare formats and devices, for networks that keep most of their weights, and for cycle
studies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.compress.calibration.bias_correction import correct_biases
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.calibration.channel_scales import Scaling, best_scaling, scalings
from sqhw.compress.calibration.equalise import map_facts, telling_channels, worth_keeping
from sqhw.compress.calibration.layer_projection import MAX_BITS, check_layer, project_layer
from sqhw.compress.calibration.limit_notes import limit_notes
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.bounds import check_bias_bits
from sqhw.errors import SqhwError, unknown_name
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.quantized import QuantizedNetwork


@dataclass(frozen=True, kw_only=True)
class QuantizeSettings:
    """Options of `quantize`.

    Parameters
    ----------
    density : float, 0 to 1, or mapping of str to float
        Largest share of the weights that each trained layer keeps. Layers that a mapping does not
        name may keep all.
    bits : int, 1 to 8, or mapping of str to int
        Width of a code. Layers that a mapping does not name have 8.
    ends_density : float, optional
        Density of the first and the last trained layer, which lose the most accuracy and are small.
    bias_bits : int, 4 to 16
        Largest width of a bias.
    objective : {"rom", "cycles"}
        Objective of the choice of streams (`sqhw.compiler.format_choice.cheapest_streams`).
    threads : int
        Number of threads.
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
    ``2**bits`` centroids of a k-means with one more at 0. With 8 bits they become steps of 1/127 of
    the largest. Small weights go by the rules of `sqhw.compress.calibration.layer_projection`.
    Channels of different ranges have gains, factors, both or none, whichever is the most exact on
    some of the images (`sqhw.compress.calibration.channel_scales`). Biases take up the mean error
    that all of this leaves in each channel.

    Parameters
    ----------
    network : FloatNetwork
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels to calibrate on. A hundred images are enough.
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
        check_layer(name, densities[name], widths[name])
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
                project_layer(layer, densities[name], widths[name], most, worth[name], engine)
            if scaling.gains and not any(layer.gain_bits for layer in model.layers()):
                return None
            correct_biases(model, images)
            to_integers(model, images, engine, settings.bias_bits)
            return model

        best, model = best_scaling(scalings(network, facts, pixels, engine), pixels, engine, made)
        metadata = {"method": "one-shot", "channel_scales": best.name}
        if notes := limit_notes(model, pixels, engine, telling):
            metadata["notes"] = "\n".join(notes)
        return exported(model, engine, settings.objective, metadata)


def _each(value: Any, names: list[str], default: Any, what: str) -> dict[str, Any]:
    """Return one value a layer."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    for name in value:
        if name not in names:
            raise unknown_name(f"layer in {what}", name, names)
    return {name: value.get(name, default) for name in names}


def to_integers(model: QatNetwork, pixels: Tensor, engine: EngineConfig, bias_bits: int) -> None:
    """Give a projected network its integers.

    Parameters
    ----------
    model : QatNetwork
        Network with masks and codebooks, which is changed.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels to calibrate on.
    engine : EngineConfig
    bias_bits : int, 4 to 16
        Largest width of a bias.
    """
    for layer in model.learning_layers():
        layer.freeze()
    calibrate(model, pixels, engine, bias_bits, trained=False)


def exported(
    model: QatNetwork, engine: EngineConfig, objective: str, metadata: dict[str, str]
) -> QuantizedNetwork:
    """Return the network of integers with the labels of its origin and further ones.

    Parameters
    ----------
    model : QatNetwork
        Network on integers.
    engine : EngineConfig
    objective : {"rom", "cycles"}
        Objective of the choice of streams (`sqhw.compiler.format_choice.cheapest_streams`).
    metadata : dict of str to str
        Further labels.
    """
    network = model.network
    labels = {**network.metadata, **metadata, **network.size_labels}
    return export(model, engine, labels, objective=objective)

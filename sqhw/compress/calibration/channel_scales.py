"""Scales for channels of different ranges: the ways to have them, and the most exact of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sqhw.compress.calibration.channel_gains import may_have_gains
from sqhw.compress.calibration.equalise import MapFacts, equalised, map_facts
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork

#: Number of images on which each way is tried. With a quarter of them the error of one way varies
#: by more than the errors of two ways differ.
TRIED_IMAGES = 128
#: Ratio to the least squared error up to which ways count as equally exact (0.4 dB). On other
#: images they may change places.
NEAR = 1.1
#: Variance of an output, relative to the largest, below which it carries no information.
CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Scaling:
    """A network, maybe with factors that moved between its layers, and whether it has gains.

    Parameters
    ----------
    name : str
        Means for channels of different ranges: ``none``, ``factors``, ``gains`` or ``factors,
        gains``.
    network : FloatNetwork
    facts : mapping of str to MapFacts
        Facts of the network's maps.
    gains : bool
        Whether layers have a gain for each channel, where the engine has one.
    """

    name: str
    network: FloatNetwork
    facts: Mapping[str, MapFacts]
    gains: bool


def scalings(
    network: FloatNetwork, facts: Mapping[str, MapFacts], pixels: Tensor, engine: EngineConfig
) -> list[Scaling]:
    """Return the ways to scale channels that may make a difference; the first has no scales.

    Parameters
    ----------
    network : FloatNetwork
    facts : mapping of str to MapFacts
        Facts of the network's maps.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels, for the facts of the network with factors.
    engine : EngineConfig
    """
    ways = [Scaling("none", network, facts, gains=False)]
    even = equalised(network, facts)
    if even is not network:
        ways.append(Scaling("factors", even, map_facts(even, pixels), gains=False))
    convs = [layer for layer in network.layers if isinstance(layer, FloatConv) and layer.trained]
    if any(may_have_gains(layer, engine) for layer in convs):
        ways += [
            Scaling(
                "gains" if way.name == "none" else "factors, gains", way.network, way.facts, True
            )
            for way in ways
        ]
    return ways


def best_scaling(
    ways: Sequence[Scaling],
    pixels: Tensor,
    engine: EngineConfig,
    made: Callable[[Scaling, Tensor], QatNetwork | None],
) -> tuple[Scaling, QatNetwork]:
    """Return the way whose outputs have the least squared error, of nearly equal ones the smallest.

    The error of each output is relative to its variance, so that small outputs count too.

    Parameters
    ----------
    ways : sequence of Scaling
        Ways to try. The first is taken if the engine can run none.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels. The first `TRIED_IMAGES` images are used for the choice.
    engine : EngineConfig
        Engine whose ROM size decides between nearly equal ways.
    made : callable
        Function that quantizes the network of a way on images. It returns None if the network
        would be that of another way, and raises `SqhwError` if the engine cannot run it.

    Returns
    -------
    scaling : Scaling
        The best way.
    network : QatNetwork
        Its quantized network, from all images.

    Raises
    ------
    SqhwError
        If the engine cannot run the network of the way that is taken.
    """
    images = pixels[:TRIED_IMAGES]
    tried = []
    wanted = predict(FloatModule(ways[0].network), images).numpy().astype(np.float64)
    for way in ways if len(ways) > 1 else ():
        try:
            model = made(way, images)
        except SqhwError:
            continue
        if model is not None:
            network = export(model, engine, {})
            found = torch_logits(network, images.numpy()) * network.convs[-1].output_scale
            tried.append(
                (
                    _noise(found.astype(np.float64), wanted),
                    rom_cost(network, engine).rom,
                    way,
                    model,
                )
            )
    most = NEAR * min((error for error, *_ in tried), default=0.0)
    near = [one for one in tried if one[0] <= most]
    best, model = min(near, key=lambda one: one[1])[2:] if near else (ways[0], None)
    if model is None or len(images) < len(pixels):
        model = made(best, pixels)
    assert model is not None
    return best, model


def _noise(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Return the mean squared error of the outputs relative to their variances.

    Outputs that hardly vary are left out. Both arrays have the shape (images, outputs).
    """
    error, signal = np.square(found - wanted).mean(axis=0), wanted.var(axis=0)
    used = signal > CONSTANT * signal.max()
    return float((error[used] / signal[used]).mean()) if used.any() else 0.0

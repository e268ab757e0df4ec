"""The networks of the benchmark: topologies of the zoo at several densities."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.frontends.zoo.catalogue import float_network
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork

#: Checkpoints by the network's name in the zoo.
NETWORKS = {
    "resnet8": "resnet8_mlperf.safetensors",
    "resnet20": "resnet20.safetensors",
    "vgg16": None,
    "mobilenetv2": None,
}
DENSITIES = (0.1, 0.2, 0.3)
CODE_BITS = 4
CALIBRATION_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Case:
    """A network to run.

    Parameters
    ----------
    name : str
        Name in the zoo.
    density : float
        Share of non-zero weights that each layer keeps; the first and last layer of a network
        with a checkpoint keep all.
    weights : str
        ``checkpoint`` or ``random``.
    network : QuantizedNetwork
    """

    name: str
    density: float
    weights: str
    network: QuantizedNetwork


def cases(
    engine: EngineConfig, images: npt.NDArray[Any], models: Path | None, names: list[str]
) -> Iterator[Case]:
    """Yield every network at every density, its streams chosen for fewest cycles on the engine."""
    for name in names:
        file = NETWORKS[name]
        path = models / file if models and file else None
        trained = path if path and path.is_file() else None
        source = float_network(name, trained)
        for density in DENSITIES:
            if trained:
                network = quantize(
                    source,
                    images[:CALIBRATION_IMAGES],
                    engine,
                    settings=QuantizeSettings(
                        density=density,
                        bits=CODE_BITS,
                        ends_density=1.0,
                        objective="cycles",
                    ),
                )
            else:
                network = random_quantized(
                    source, engine, density, CODE_BITS, seed=0, objective="cycles"
                )
            yield Case(name, density, "checkpoint" if trained else "random", network)


def test_images(data: str | None) -> npt.NDArray[np.uint8]:
    """Return CIFAR-10 test images, or noise of their shape without a data set."""
    if data is None:
        return np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32)).astype(np.uint8)
    from sqhw.data import load_dataset

    return load_dataset(data).test.images

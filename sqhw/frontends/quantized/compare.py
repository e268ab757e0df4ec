"""A quantized network beside the model that it was made of, activation by activation."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.quantized.lowering import Lowered
from sqhw.frontends.quantized.source import Source
from sqhw.sim.simulator import Simulator


@dataclass
class LayerDifference:
    """Differing activations of a layer.

    Parameters
    ----------
    layer : str
        Name of the layer.
    activations, differing : int
        Activations of all images, and those that differ.
    largest : int
        Largest difference (unit: step of the model's integers).
    """

    layer: str
    activations: int = 0
    differing: int = 0
    largest: int = 0


@dataclass(eq=False)
class Comparison:
    """Differences so far, and the scores of both.

    Parameters
    ----------
    lowered : Lowered
    source : Source
    """

    lowered: Lowered
    source: Source
    layers: dict[str, LayerDifference] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._simulator = Simulator(self.lowered.network)

    def run(self, images: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Add some images, and return the scores of the network and of the model.

        Parameters
        ----------
        images : ndarray of uint8, shape (n, channels, height, width)
            Pixels. As many as memory holds all tensors of.

        Returns
        -------
        tuple of ndarray of int64, shape (n, outputs)
            Integers of the model's last tensor, as the network and as the model have it.
        """
        lowered = self.lowered
        own, right = self._simulator.run(images), self.source.run(lowered.graph, images)
        name = lowered.network.layers[-1].name
        last: tuple[npt.NDArray[Any], npt.NDArray[Any]] = own[name], right[lowered.output]
        for tensor, (layer, how) in lowered.maps.items():
            if tensor not in right or tensor == lowered.graph.input:
                continue
            made = how.to_file(own[layer])
            steps = np.abs(made - right[tensor].reshape(made.shape))
            if tensor == lowered.output:
                last = made, right[tensor]
            row = self.layers.setdefault(tensor, LayerDifference(layer))
            row.activations += steps.size
            row.differing += int(np.count_nonzero(steps))
            row.largest = max(row.largest, int(steps.max()))
        return last[0].reshape(len(images), -1), last[1].reshape(len(images), -1)

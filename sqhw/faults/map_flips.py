"""Injections into feature maps: bits of their bytes that flip while these wait for their reader."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask
from sqhw.faults.bench import FaultBench

#: Bits of an activation in the banks, whatever its format is.
BYTE_BITS = 8
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class MapOutcome:
    """What a network makes of flips in a feature map, one in each image.

    Parameters
    ----------
    bit : ndarray of int64, shape (images,)
        Bit of the byte that flips, 0 for the lowest.
    right, changed : ndarray of bool, shape (images,)
        Whether the class is right, and whether it is another than without the flip.
    """

    bit: Ints
    right: Mask
    changed: Mask


@dataclass(frozen=True, eq=False)
class MapFlips:
    """Damages the feature maps of a network; each image meets flips of its own.

    Parameters
    ----------
    bench : FaultBench
    labels : ndarray of int64, shape (images,)
        Class of each image of the bench.
    """

    bench: FaultBench
    labels: npt.NDArray[np.int64]

    def singles(self, name: str, rng: np.random.Generator) -> MapOutcome:
        """Return the outcome of one flip in a map of each image."""
        images, shape = len(self.labels), self.bench.program.network.shapes()[name]
        at = rng.integers(0, int(np.prod(shape)), images)
        bit = rng.integers(0, BYTE_BITS, images)
        flips = np.zeros((images, int(np.prod(shape))), np.uint8)
        flips[np.arange(images), at] = 1 << bit
        right, changed = self._outcome({name: flips.reshape(images, *shape)})
        return MapOutcome(bit, right, changed)

    def upsets(self, rate: float, rng: np.random.Generator) -> tuple[Mask, Mask, int]:
        """Return whether classes are right, whether they changed, and the number of flips.

        Each bit of each map flips with the probability `rate`, independently of the others.
        """
        flips, count = dict[str, Bytes](), 0
        for name, shape in self.bench.program.network.shapes().items():
            size = len(self.labels) * int(np.prod(shape)) * BYTE_BITS
            bits = rng.choice(size, int(rng.binomial(size, rate)), replace=False)
            found = np.zeros(size // BYTE_BITS, np.uint8)
            np.bitwise_or.at(found, bits // BYTE_BITS, (1 << bits % BYTE_BITS).astype(np.uint8))
            flips[name] = found.reshape(len(self.labels), *shape)
            count += len(bits)
        return *self._outcome(flips), count

    def _outcome(self, flips: dict[str, Bytes]) -> tuple[Mask, Mask]:
        def part_of(maps: Bytes) -> Callable[[slice], Bytes]:
            return lambda images: maps[images]

        logits = self.bench.run({}, {name: part_of(maps) for name, maps in flips.items()})
        classes = logits.argmax(axis=1)
        return classes == self.labels, classes != self.bench.logits.argmax(axis=1)

"""Injections into ROM images: single flips in every field, and as many as an upset rate gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.faults.bench import FaultBench
from sqhw.faults.exact import Maps
from sqhw.faults.sites import PADDING, Flips, Place, Sites

#: Called with the number of injections done after each.
Count = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """What a network makes of an injection.

    Parameters
    ----------
    accuracy : float
        Share of the images whose class is right.
    changed : bool
        Whether the class of an image is another than without damage.
    resolved : bool
        Whether the engine's behaviour is modelled; if not, all classes count as wrong.
    """

    accuracy: float
    changed: bool
    resolved: bool


@dataclass(frozen=True)
class Single:
    """The flip of one bit.

    Parameters
    ----------
    place : Place
        ROM, layer and field of the bit.
    at : int
        Number of the bit in its ROM.
    position : int
        Number of the bit in its field.
    outcome : Outcome
    """

    place: Place
    at: int
    position: int
    outcome: Outcome


@dataclass(frozen=True)
class Campaign:
    """Damages the ROMs of a program and tells what its network makes of them.

    Parameters
    ----------
    bench : FaultBench
    sites : Sites
    labels : ndarray of int64, shape (images,)
        Class of each image of the bench.
    roms : sequence of str
        ROMs that are damaged.
    """

    bench: FaultBench
    sites: Sites
    labels: npt.NDArray[np.int64]
    roms: Sequence[str]

    @property
    def bits(self) -> int:
        """Bits that flip."""
        return sum(len(bits) for bits in self._covered.values())

    @property
    def _covered(self) -> dict[str, Ints]:
        return {rom: bits for rom, bits in self.sites.covered.items() if rom in self.roms}

    def outcome(self, flips: Flips) -> Outcome:
        """Return the outcome of bits that flip together; all images meet the same ones."""
        roms = self.bench.reader.roms()
        for rom, bits in flips.items():
            roms[rom][bits] ^= 1
        damaged = {at: self.bench.reader.read(at, roms) for at in self.sites.layers(flips)}
        if any(layer.leaves for layer in damaged.values()):
            return Outcome(0.0, changed=True, resolved=False)
        return self.judge(self.bench.run(damaged))

    def judge(self, logits: Maps) -> Outcome:
        """Return the outcome of logits."""
        classes = logits.argmax(axis=1)
        golden = self.bench.logits.argmax(axis=1)
        right = float((classes == self.labels).mean())
        return Outcome(right, changed=bool((classes != golden).any()), resolved=True)

    def singles(self, count: int, rng: np.random.Generator, progress: Count) -> list[Single]:
        """Return the outcomes of single flips, shared out evenly over the fields of all layers.

        No bit flips twice. Fields of fewer bits than their share have all of them flipped.
        """
        places = [
            at
            for at, place in enumerate(self.sites.places)
            if place.covered and place.field != PADDING and place.rom in self.roms
        ]
        sizes = [len(self.sites.bits(at)) for at in places]
        chosen = [
            (at, int(bit))
            for at, share in zip(places, shares(count, sizes), strict=True)
            for bits in self.sites.pick(at, rng, share).values()
            for bit in bits
        ]
        # The maps ahead of a damaged layer stay, so the last layers come first.
        chosen.sort(key=lambda one: -self.sites.places[one[0]].layer)
        found = []
        for number, (at, bit) in enumerate(chosen, 1):
            place = self.sites.places[at]
            position = int(self.sites.position[place.rom][bit])
            outcome = self.outcome({place.rom: np.array([bit])})
            found.append(Single(place, bit, position, outcome))
            progress(number)
        return found

    def upsets(
        self, rate: float, trials: int, rng: np.random.Generator, progress: Count
    ) -> tuple[list[Outcome], list[int]]:
        """Return the outcomes of damaged memories, and the flips of each.

        Each bit flips with the probability `rate`, independently of the others.
        """
        found, flips = list[Outcome](), list[int]()
        for number in range(1, trials + 1):
            count = int(rng.binomial(self.bits, rate))
            found.append(self.outcome(drawn(self._covered, count, rng)))
            flips.append(count)
            progress(number)
        return found, flips


def shares(count: int, sizes: Sequence[int]) -> list[int]:
    """Return shares of a count that are as even as sizes admit; they add up to it if these do."""
    found = [0] * len(sizes)
    left = min(count, sum(sizes))
    open_ones = sorted(range(len(sizes)), key=lambda at: sizes[at])
    for done, at in enumerate(open_ones):
        even = -(-left // (len(open_ones) - done))
        found[at] = min(sizes[at], even)
        left -= found[at]
    return found


def drawn(covered: Mapping[str, Ints], count: int, rng: np.random.Generator) -> dict[str, Ints]:
    """Return so many bits of ROMs, each once."""
    ends = np.cumsum([len(bits) for bits in covered.values()])
    chosen = np.sort(rng.choice(int(ends[-1]), min(count, int(ends[-1])), replace=False))
    return {
        rom: bits[chosen[(chosen >= end - len(bits)) & (chosen < end)] - (end - len(bits))]
        for (rom, bits), end in zip(covered.items(), ends, strict=True)
    }

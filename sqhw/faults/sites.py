"""The bits of the ROMs: to which layer and field each belongs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.compiler.rom_contents import record_widths
from sqhw.errors import SqhwError
from sqhw.faults.damaged import RomReader
from sqhw.machine.layout import CODEBOOK_WIDTH, ROMS, descriptor_words
from sqhw.machine.stream import Dense, Rice
from sqhw.network.quantized import Conv

#: Field of the bits that no flip of this package changes, and of those that nothing reads.
DESCRIPTOR, PADDING = "descriptor", "padding"
#: Flipped bits of each ROM by name, as numbers of bits from the first word on.
Flips = Mapping[str, Ints]


@dataclass(frozen=True)
class Place:
    """A field of a layer in a ROM.

    Parameters
    ----------
    rom : str
    layer : int
        Number of the layer.
    field : str
        ``gap``, ``remainder``, ``quotient`` and ``code`` of a weight stream; ``count``, ``bias``,
        ``multiplier`` and ``shift`` of a channel record; ``value`` of a codebook; ``padding``.
    """

    rom: str
    layer: int
    field: str

    @property
    def covered(self) -> bool:
        """Whether its bits are flipped."""
        return self.field != DESCRIPTOR


@dataclass
class Sites:
    """All bits of the ROMs of a program.

    Parameters
    ----------
    widths : mapping of str to int
        Word width of each ROM (unit: bit).
    places : list of Place
        Fields of layers.
    place : dict of str to ndarray of int64
        Number of the place of each bit of a ROM.
    position : dict of str to ndarray of int64
        Number of each bit within its field, 0 for the lowest.
    """

    widths: Mapping[str, int]
    places: list[Place] = field(default_factory=list)
    place: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    position: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def mark(self, place: Place, at: Ints, position: Ints | int = 0) -> None:
        """Give bits of a ROM their place."""
        if place not in self.places:
            self.places.append(place)
        self.place[place.rom][at] = self.places.index(place)
        self.position[place.rom][at] = position

    def bits(self, place: int) -> Ints:
        """Return the bits of a place, as numbers in its ROM."""
        found: Ints = np.flatnonzero(self.place[self.places[place].rom] == place)
        return found

    @property
    def covered(self) -> dict[str, Ints]:
        """Bits of each ROM that are flipped."""
        known = np.array([place.covered for place in self.places])
        return {rom: np.flatnonzero(known[place]) for rom, place in self.place.items()}

    def pick(self, place: int, rng: np.random.Generator, count: int) -> dict[str, Ints]:
        """Return so many bits of a place, each once."""
        bits = self.bits(place)
        return {self.places[place].rom: rng.choice(bits, min(count, len(bits)), replace=False)}

    def layers(self, flips: Flips) -> set[int]:
        """Return the numbers of the layers that flips damage."""
        numbers = np.array([place.layer for place in self.places])
        return {int(at) for rom, bits in flips.items() for at in numbers[self.place[rom][bits]]}

    def number(self, rom: str, word: int, bit: int) -> int:
        """Return the number of a bit of a word.

        Raises
        ------
        SqhwError
            If it lies outside of the image, or in a descriptor.
        """
        if rom not in self.place:
            raise SqhwError(f"there is no ROM {rom!r}; the ROMs are {', '.join(ROMS)}")
        width = self.widths[rom]
        words = len(self.place[rom]) // width
        if not 0 <= word < words or not 0 <= bit < width:
            raise SqhwError(
                f"bit {bit} of word {word} lies outside of the image of {rom}: it has words 0 to "
                f"{words - 1} of bits 0 to {width - 1}"
            )
        at = word * width + bit
        if not self.places[self.place[rom][at]].covered:
            raise SqhwError(
                f"word {word} of {rom} belongs to the descriptor of a layer, and flips in "
                "descriptors are not modelled; see docs/faults.md"
            )
        return at


def sites_of(reader: RomReader) -> Sites:
    """Return the bits of a program's ROMs."""
    program = reader.program
    sites = Sites(reader.widths)
    for image in program.images:
        sites.place[image.name] = np.full(image.bits, -1, np.int64)
        sites.position[image.name] = np.zeros(image.bits, np.int64)
    word = program.engine.word_bits
    step = descriptor_words(program.engine) * word
    for at, (tiling, fields) in enumerate(zip(program.tilings, reader.fields, strict=True)):
        sites.mark(Place("params", at, DESCRIPTOR), np.arange(at * step, (at + 1) * step))
        _records(sites, at, fields, word)
        if isinstance(tiling.layer, Conv):
            _strings(sites, at, tiling.layer, fields, word)
            book = fields["codebook_addr"] * CODEBOOK_WIDTH
            bits = np.arange(len(tiling.layer.codebook) * CODEBOOK_WIDTH)
            sites.mark(Place("codebook", at, "value"), book + bits, bits % CODEBOOK_WIDTH)
    for rom, place in sites.place.items():
        left = np.flatnonzero(place < 0)
        if len(left):  # the one word of a ROM that has none
            sites.mark(Place(rom, 0, PADDING), left)
    return sites


def _records(sites: Sites, layer: int, fields: Mapping[str, int], word: int) -> None:
    """Mark the channel records of a layer."""
    widths = record_widths(fields)
    channels, size = fields["last_channel"] + 1, sum(widths.values())
    first = fields["param_addr"] * word
    start = 0
    for name, width in widths.items():
        label = "bias" if name.startswith("bias") else name
        above = widths["bias_lo"] if name == "bias_hi" else 0
        bits = np.arange(channels)[:, None] * size + start + np.arange(width)
        if width:
            position = np.broadcast_to(np.arange(width) + above, bits.shape)
            sites.mark(
                Place("params", layer, label), first + bits.reshape(-1), position.reshape(-1)
            )
        start += width
    _pad(sites, Place("params", layer, PADDING), first, channels * size, word)


def _strings(sites: Sites, layer: int, conv: Conv, fields: Mapping[str, int], word: int) -> None:
    """Mark the weight stream of a layer."""
    stream = conv.stream
    strings = stream.written(stream.encode(conv.weight, conv.codebook))
    low = 0 if isinstance(stream, Dense) else fields["gap_bits"]
    for name, string in zip(stream.STRINGS, strings, strict=True):
        first, bits = fields[name] * word, np.arange(len(string))
        if name == "quotient_addr":
            sites.mark(Place("weights", layer, "quotient"), first + bits)
        elif len(string):
            position = bits % stream.entry_bits
            gap = position < low
            label = "remainder" if isinstance(stream, Rice) else "gap"
            if gap.any():
                sites.mark(Place("weights", layer, label), first + bits[gap], position[gap])
            if not gap.all():
                sites.mark(
                    Place("weights", layer, "code"), first + bits[~gap], position[~gap] - low
                )
        _pad(sites, Place("weights", layer, PADDING), first, len(string), word)


def _pad(sites: Sites, place: Place, first: int, used: int, word: int) -> None:
    """Mark the bits behind a string, up to the end of its last word."""
    left = np.arange(used, -(-used // word) * word)
    if len(left):
        sites.mark(place, first + left)

"""The contents of block RAM in a placed design, and the places of a ROM's words among them.

A ROM that is synthesized with random words is found again by its columns. A column is one bit of
many words: on an iCE40 of every first, second, fourth or eighth word, by the mode of the block, on
an ECP5 of neighbouring words. Columns of random words are unique. `PlacedRoms` keeps the place of
every bit, so that other words can be written there, or the present ones be read.

Formats: ``.ram_data`` of YosysHQ/icestorm (16 lines of 256 bits, 16 words of 16 bits a line, the
last digit the lowest), ``.bram_init`` of YosysHQ/prjtrellis (2,048 values of 9 bits).
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError

Bits = npt.NDArray[np.uint8]

#: Words of a column, by family, and distances of its words.
COLUMN_WORDS = {"ice40": 256, "ecp5": 512}
COLUMN_STEPS = {"ice40": (1, 2, 4, 8), "ecp5": (1,)}
_RAM_DATA = re.compile(r"^(\.ram_data \d+ \d+)\n((?:[0-9a-f]{64}\n){16})", re.MULTILINE)
_BRAM_INIT = re.compile(r"^(\.bram_init \d+)\n((?:[0-9a-f ]+\n)+)", re.MULTILINE)
#: Values of a block of an ECP5, the bits of each, and the widths of its modes (unit: bit). Modes of
#: less than 9 bits leave the highest bit of a value unused.
VALUES, VALUE_BITS = 2048, 9
MODES = (1, 2, 4, 9, 18, 36)


def placeholder(name: str, words: int, width: int, seed: int) -> tuple[int, ...]:
    """Return random words for a ROM, always the same for a name and a seed."""
    source = random.Random(f"{name} {seed}")
    return tuple(source.getrandbits(width) for _ in range(words))


def word_bits(words: Sequence[int], width: int) -> Bits:
    """Return words as bits, shape (words, width), the lowest bit first."""
    size = -(-width // 8)
    data = b"".join(word.to_bytes(size, "little") for word in words)
    array = np.frombuffer(data, np.uint8).reshape(-1, size)
    return np.unpackbits(array, axis=1, bitorder="little")[:, :width]


class BlockContents:
    """The bits of all block RAMs in the text of a placed design.

    Parameters
    ----------
    text : str
        Content of the file that nextpnr writes: ``.asc`` or ``.config``.
    family : {"ice40", "ecp5"}
    """

    def __init__(self, text: str, family: str) -> None:
        self._text = text
        #: Family of the device.
        self.family = family
        self._pattern = _RAM_DATA if family == "ice40" else _BRAM_INIT
        read = _ice40_bits if family == "ice40" else _ecp5_bits
        blocks = {found[1]: read(found[2]) for found in self._pattern.finditer(text)}
        #: Names of the blocks, and their bits, shape (blocks, bits of a block).
        self.names = tuple(blocks)
        self.bits = np.stack(list(blocks.values())) if blocks else np.zeros((0, 1), np.uint8)

    def in_order(self, names: Sequence[str]) -> "BlockContents":
        """Put the blocks into an order, with zeros for blocks that are missing; return self."""
        empty = np.zeros(self.bits.shape[1], np.uint8)
        blocks = dict(zip(self.names, self.bits, strict=True))
        self.bits = np.stack([blocks.get(name, empty) for name in names])
        self.names = tuple(names)
        return self

    def columns(self) -> npt.NDArray[np.int64]:
        """Return the bits of a block in all possible columns, shape (columns, rows)."""
        if self.family == "ice40":
            return np.arange(4096).reshape(256, 16).T
        found = []
        for mode in MODES:
            usable = VALUE_BITS if mode >= VALUE_BITS else VALUE_BITS - 1
            places = np.arange(VALUES * VALUE_BITS).reshape(VALUES, VALUE_BITS)[:, :usable]
            words = places.reshape(-1, mode)
            found.append(words.reshape(-1, COLUMN_WORDS["ecp5"], mode).transpose(0, 2, 1))
        return np.concatenate([group.reshape(-1, COLUMN_WORDS["ecp5"]) for group in found])

    def text(self) -> str:
        """Return the text of the design with the present bits."""
        blocks = iter(self.bits)
        write = _ice40_text if self.family == "ice40" else _ecp5_text

        def replaced(found: re.Match[str]) -> str:
            return f"{found[1]}\n{write(next(blocks))}"

        return self._pattern.sub(replaced, self._text)


@dataclass(frozen=True)
class PlacedRoms:
    """The places of the words of ROMs in a placed design.

    Parameters
    ----------
    places : dict of str to ndarray of int, shape (words, width, 2)
        Block, and bit of the block, of each bit of a ROM, by its name.
    """

    places: Mapping[str, npt.NDArray[np.int64]]

    @classmethod
    def find(
        cls, contents: BlockContents, roms: Mapping[str, tuple[Sequence[int], int]]
    ) -> "PlacedRoms":
        """Return the places of ROMs that hold random words.

        Parameters
        ----------
        contents : BlockContents
        roms : mapping of str to (sequence of int, int)
            Words and width of each ROM.

        Raises
        ------
        SqhwError
            If a bit is not in the block RAMs, or is there twice.
        """
        columns = contents.columns()
        found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for block, in_block in enumerate(np.packbits(contents.bits[:, columns], axis=2)):
            for index, column in enumerate(in_block):
                found[column.tobytes()].append((block, index))
        places = {}
        for name, (words, width) in roms.items():
            bits = word_bits(words, width)
            place = np.full((len(words), width, 2), -1)
            for chunk in _chunks(contents.family, len(words)):
                there = chunk < len(words)
                rows = np.where(there[:, None], bits[np.minimum(chunk, len(words) - 1)], 0)
                for bit, key in enumerate(np.packbits(rows.T, axis=1)):
                    for block, index in found.get(key.tobytes(), ()):
                        if place[chunk[0], bit, 0] >= 0:
                            raise SqhwError(f"bit {bit} of the ROM {name} is in two block RAMs")
                        place[chunk[there], bit, 0] = block
                        place[chunk[there], bit, 1] = columns[index][there]
            if (place < 0).any():
                word, bit, _ = (int(number) for number in np.argwhere(place < 0)[0])
                raise SqhwError(
                    f"bit {bit} of word {word} of the ROM {name} is in no block RAM of the placed "
                    "design"
                )
            places[name] = place
        return cls(places)

    def write(self, contents: BlockContents, name: str, words: Sequence[int]) -> None:
        """Write the words of a ROM, as many as it has, into contents of the same design."""
        place = self.places[name]
        bits = word_bits(words, place.shape[1])
        contents.bits[place[..., 0], place[..., 1]] = bits

    def read(self, contents: BlockContents, name: str) -> tuple[int, ...]:
        """Return the words of a ROM in contents of the same design."""
        place = self.places[name]
        bits = contents.bits[place[..., 0], place[..., 1]]
        packed = np.packbits(bits, axis=1, bitorder="little")
        return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


def _chunks(family: str, words: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the numbers of the words of all possible columns; they may go beyond the last word."""
    rows = COLUMN_WORDS[family]
    for step in COLUMN_STEPS[family]:
        for start in range(0, words, rows * step):
            for phase in range(step):
                yield start + phase + step * np.arange(rows)


def _ice40_bits(text: str) -> Bits:
    lines = [bytes.fromhex(line)[::-1] for line in text.split()]
    return np.unpackbits(np.frombuffer(b"".join(lines), np.uint8), bitorder="little")


def _ice40_text(bits: Bits) -> str:
    lines = np.packbits(bits.reshape(16, 256), axis=1, bitorder="little")
    return "".join(f"{line.tobytes()[::-1].hex()}\n" for line in lines)


def _ecp5_bits(text: str) -> Bits:
    values = np.array([int(value, 16) for value in text.split()], np.uint16)
    return (values[:, None] >> np.arange(VALUE_BITS) & 1).astype(np.uint8).reshape(-1)


def _ecp5_text(bits: Bits) -> str:
    values = bits.reshape(-1, VALUE_BITS) @ (1 << np.arange(VALUE_BITS))
    lines = values.reshape(-1, 8).tolist()
    return "".join(" ".join(f"{value:03x}" for value in line) + "\n" for line in lines)

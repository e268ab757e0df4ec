"""A layer as the engine reads it from ROMs whose bits may have flipped.

Whatever the bits are, the engine makes something of them. An entry whose gap is too long points
beyond the kernel: at taps of further rows of it, which lie below the kernel's own. A count that is
too large takes the entries of the channels after it, then words of the next layer, then words
beyond the image, which are 0. A code beyond the codebook reads the next layer's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask
from sqhw.compiler.program import Program
from sqhw.compiler.rom_contents import bits_of, descriptor_at, numbers, records_at, signed
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ADDRESSES, CODEBOOK_WIDTH, COUNT_BITS, ROMS, descriptor_words
from sqhw.machine.stream import Bits, Dense, Rice, StreamFormat, numbers_of
from sqhw.network.quantized import Conv
from sqhw.planner.placement import Tiling


@dataclass(frozen=True, eq=False)
class DamagedLayer:
    """The numbers of a layer as the engine has them in its registers.

    Parameters
    ----------
    weight : ndarray of int8, shape (out_channels, in_channels / groups, rows, kernel_w)
        Weights. There may be more rows than the kernel has. Of a maximum it is empty.
    bias : ndarray of int64, shape (out_channels,)
        Biases that fit the accumulator.
    multiplier, shift : ndarray of int64, shape (out_channels,)
        Constants of the requantization. A multiplier may be 0.
    counts : ndarray of int64, shape (out_channels,)
        Entries that a channel takes, with that of a skip connection.
    leaves : bool
        Whether a tap lies so far below the map that its coordinate overflows. What the engine
        reads there is not modelled.
    """

    weight: npt.NDArray[np.int8]
    bias: Ints
    multiplier: Ints
    shift: Ints
    counts: Ints
    leaves: bool


class _Places(NamedTuple):
    """Entries of a layer that carry a weight: channel, place in it, and code."""

    channel: Ints
    position: Ints
    code: Ints


class RomReader:
    """Reads layers from the bits of ROMs as the engine does.

    Parameters
    ----------
    program : Program
        Its descriptors are those of all readings: flips in descriptors are not modelled.
    """

    def __init__(self, program: Program) -> None:
        engine = program.engine
        self.program = program
        self.widths = {image.name: image.width for image in program.images}
        self._bits = {image.name: bits_of(image.words, image.width) for image in program.images}
        self._spans = {
            rom: self.widths[rom] << getattr(engine, field)
            for rom, field in zip(ROMS, ADDRESSES, strict=True)
        }
        step = descriptor_words(engine) * engine.word_bits
        self.fields = [
            descriptor_at(self._bits["params"], at * step, engine)
            for at in range(len(program.tilings))
        ]

    def roms(self) -> dict[str, Bits]:
        """Return copies of the bits of all ROMs by name."""
        return {name: bits.copy() for name, bits in self._bits.items()}

    def read(self, index: int, roms: Mapping[str, Bits]) -> DamagedLayer:
        """Return a layer.

        Parameters
        ----------
        index : int
            Number of the layer.
        roms : mapping of str to ndarray of uint8
            Bits of each ROM, as many as `roms` gives.
        """
        engine, fields = self.program.engine, self.fields[index]
        tiling = self.program.tilings[index]
        records = records_at(roms["params"], fields, engine)
        counts = records.pop("count") + fields.get("skip", 0)
        counts[counts == 0] = 1 << COUNT_BITS  # the sequencer counts down to 1, from 0 all the way
        layer = tiling.layer
        weight, leaves = np.zeros((len(counts), 1, 0, 1), np.int8), False
        if isinstance(layer, Conv):
            places = self._places(layer.stream, fields, roms, counts - fields.get("skip", 0))
            address = fields["codebook_addr"] + np.arange(256)
            span = np.arange(CODEBOOK_WIDTH)
            book = self._taken(
                "codebook", roms, (address[:, None] * CODEBOOK_WIDTH + span).reshape(-1)
            )
            values = signed(numbers(book, CODEBOOK_WIDTH), CODEBOOK_WIDTH).astype(np.int8)
            weight, leaves = _weights(tiling, places, values[places.code], engine)
        return DamagedLayer(weight=weight, counts=counts, leaves=leaves, **records)

    def _taken(self, rom: str, roms: Mapping[str, Bits], at: Ints) -> Bits:
        """Return bits of a ROM: 0 beyond its image, and from the first one on after the last."""
        bits = roms[rom]
        at = at % self._spans[rom]
        found: Bits = bits[np.minimum(at, len(bits) - 1)]
        found[at >= len(bits)] = 0
        return found

    def _places(
        self,
        stream: StreamFormat,
        fields: Mapping[str, int],
        roms: Mapping[str, Bits],
        counts: Ints,
    ) -> _Places:
        """Return the entries of a stream that carry a weight."""
        total, width = int(counts.sum()), stream.entry_bits
        start = fields["weight_addr"] * self.widths["weights"]
        gaps, carries = np.zeros(total, np.int64), np.ones(total, np.bool_)
        low = 0 if isinstance(stream, Dense) else fields["gap_bits"]
        if isinstance(stream, Rice):
            first = fields["quotient_addr"] * self.widths["weights"]
            gaps = self._quotients(stream, first, roms, total)
            carries = gaps < stream.ones
            gaps <<= low
        taken = int(carries.sum())
        entries = numbers_of(
            self._taken("weights", roms, start + np.arange(taken * width)), width, taken
        )
        gaps[carries] |= entries & ((1 << low) - 1)
        codes = np.zeros(total, np.int64)
        codes[carries] = entries >> low
        if not isinstance(stream, Dense | Rice):
            carries = gaps != (1 << low) - 1
        ends = np.cumsum(gaps + carries)
        firsts = np.cumsum(counts) - counts
        origin = np.concatenate([[0], ends])[firsts]
        channel = np.repeat(np.arange(len(counts)), counts)[carries]
        return _Places(channel, ends[carries] - 1 - origin[channel], codes[carries])

    def _quotients(self, stream: Rice, first: int, roms: Mapping[str, Bits], total: int) -> Ints:
        """Return the ones of each quotient, as many as mean a filler at most."""
        most = stream.ones
        bits = self._taken("weights", roms, first + np.arange(total * (most + 1))).tobytes()
        found, at = np.empty(total, np.int64), 0
        for entry in range(total):
            end = bits.find(b"\0", at, at + most)
            ones = most if end < 0 else end - at
            found[entry] = ones
            at += ones + (end >= 0)
        return found


def _weights(
    tiling: Tiling[Conv], places: _Places, values: npt.NDArray[np.int8], engine: EngineConfig
) -> tuple[npt.NDArray[np.int8], bool]:
    """Return the weights at their places, and whether one leaves the coordinates.

    Taps below the last row of the map read padding, so they are left out.
    """
    layer = tiling.layer
    assert isinstance(layer, Conv)
    outputs, inputs, kernel_h, kernel_w = layer.weight.shape
    tap, channel = np.divmod(places.position, inputs)
    row, column = np.divmod(tap, kernel_w)
    beyond: Mask = row >= kernel_h
    down = row - layer.padding[0]
    height = tiling.source.shape[1]
    reads = down < height
    # A coordinate that overflows is negative: it lies in the map again for outputs far below.
    reach = layer.strides[0] * (tiling.target.shape[1] - 1)
    leaves = down + reach >= 1 << engine.dim_bits + 1
    if tiling.phased or layer.strides[0] != layer.strides[1]:
        leaves |= beyond & reads
    kept = ~beyond | reads
    rows = max(kernel_h, int(row[kept].max(initial=0)) + 1)
    found = np.zeros((outputs, inputs, rows, kernel_w), np.int8)
    at = (places.channel[kept], channel[kept], row[kept], column[kept])
    found[at] = values[kept]
    return found, bool((leaves & (values != 0)).any())

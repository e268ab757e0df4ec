"""The Golomb-Rice stream: the zeros before a weight as a quotient in unary and a remainder.

A gap of z zeros before a weight is ``z >> k`` ones and a zero in one string of bits, the quotients,
and the ``k`` low bits of z, with the code of the weight above them, in another, the fields. A
quotient of ``ones`` ones is a filler: it ends there, passes ``ones << k`` zeros and has no field.
All fields are ``k + code_bits`` wide. A decoder reads the quotients ahead of the fields, so it
knows the place of each field before it needs it. Each string begins a ROM word.

The code is that of R. F. Rice (1979), with runs of limited length; splitting prefixes from
remainders is how P. Elias (1974) and R. Fano (1971) store monotone sequences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask
from sqhw.errors import SqhwError
from sqhw.machine.config import MAX_GAP_BITS, MAX_ONES, MAX_TAPS_PER_ENTRY, EngineConfig
from sqhw.machine.stream.base import check_code_bits, code_width, where
from sqhw.machine.stream.entry_counts import EntryCounts, SplitEntries
from sqhw.machine.stream.gaps import GapFormat, random_entries, reach
from sqhw.machine.stream.places import Entries, Places
from sqhw.machine.stream.strings import Bits, fields_of


@dataclass(frozen=True)
class Rice(GapFormat):
    """A stream of non-zero weights with Golomb-Rice coded gaps.

    Parameters
    ----------
    remainder_bits : int, 0 to `MAX_GAP_BITS`
        Low bits of a gap that stand in its field.
    ones : int, 1 to `MAX_ONES`
        Ones of a quotient that mean a filler.
    code_bits : int, 0 to 8
        Width of the code.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    remainder_bits: int
    ones: int
    code_bits: int = 0
    fillers_have_fields: ClassVar[bool] = False
    STRINGS: ClassVar[tuple[str, ...]] = ("weight_addr", "quotient_addr")

    def __post_init__(self) -> None:
        if not 0 <= self.remainder_bits <= MAX_GAP_BITS:
            raise ValueError(
                f"remainder bits must be 0 to {MAX_GAP_BITS}, not {self.remainder_bits!r}"
            )
        if not 1 <= self.ones <= MAX_ONES:
            raise ValueError(f"ones must be 1 to {MAX_ONES}, not {self.ones!r}")
        check_code_bits(self.code_bits)

    @classmethod
    def choices(cls, engine: EngineConfig, in_channels: int, kernel_w: int) -> tuple[Self, ...]:
        """Return the formats of rising remainders, each with the most ones that it may have.

        More ones cost no bits, other than in channels without a weight, and save fillers.
        """
        if not engine.quotient_ones:
            return ()
        most = min(
            reach(in_channels, kernel_w, engine.taps_per_entry), (1 << engine.max_gap_bits) - 1
        )
        widest = min(most.bit_length() - 1, cls.widest_entry(engine.word_bits) - 1)
        return tuple(cls(k, min(engine.quotient_ones, most >> k)) for k in range(widest + 1))

    @classmethod
    def descriptor_fields(cls, engine: EngineConfig) -> tuple[tuple[str, int], ...]:
        """Return the ones of a filler, 0 in other formats, and the quotients' address."""
        if not engine.quotient_ones:
            return ()
        return ("filler_ones", MAX_ONES.bit_length()), ("quotient_addr", engine.weight_addr_bits)

    @classmethod
    def widest_entry(cls, word_bits: int) -> int:
        """Return half a word, so that the quotients find room at the ROM's port."""
        return word_bits // 2

    def coded(self, values: int) -> Self:
        """Return the format with codes for a codebook of `values` values."""
        return replace(self, code_bits=code_width(values))

    @property
    def name(self) -> str:
        """Name of the format without its codes."""
        return f"rice-{self.remainder_bits}.{self.ones}"

    @property
    def entry_bits(self) -> int:
        """Width of the field of a weight, remainder and code (unit: bit)."""
        return self.remainder_bits + self.code_bits

    @property
    def constant(self) -> bool:
        """Whether the layer has no bits; there are always quotients."""
        return False

    @property
    def step(self) -> int:
        """Zeros that a filler stands for."""
        return self.ones << self.remainder_bits

    @property
    def code_at(self) -> int:
        """Lowest bit of the code in the number of an entry, whose gap is 0 to `step`."""
        return self.step.bit_length()

    @property
    def descriptor(self) -> Mapping[str, int]:
        """Values of the descriptor fields by name."""
        return {
            "gap_bits": self.remainder_bits,
            "filler_ones": self.ones,
            "entry_bits": self.entry_bits,
        }

    def written(self, entries: Entries) -> tuple[Bits, ...]:
        """Return the fields and the quotients as strings of bits."""
        gaps = entries.values & ((1 << self.code_at) - 1)
        kept = gaps < self.step
        codes = entries.values[kept] >> self.code_at
        remainders = gaps[kept] & ((1 << self.remainder_bits) - 1)
        # Each quotient is as many ones, and a zero unless it is a filler.
        ends = np.cumsum((gaps >> self.remainder_bits) + kept)
        quotients = np.ones(int(ends[-1]), dtype=np.uint8)
        quotients[ends[kept] - 1] = 0
        return fields_of(remainders | codes << self.remainder_bits, self.entry_bits), quotients

    def taken_from(self, strings: Sequence[Bits], counts: npt.NDArray[np.int32]) -> Entries:
        """Return the entries that fields and quotients hold; see `StreamFormat.taken_from`."""
        quotients = self._quotients(strings[1], counts)
        owners = np.flatnonzero(quotients < self.ones)
        fields = self._fields(strings[0], counts, owners)
        values = np.full(len(quotients), self.step, dtype=np.int64)
        gaps = quotients[owners] << self.remainder_bits
        gaps |= fields & ((1 << self.remainder_bits) - 1)
        values[owners] = gaps | fields >> self.remainder_bits << self.code_at
        return Entries(values, counts)

    def _quotients(self, string: Bits, counts: npt.NDArray[np.int32]) -> Ints:
        """Return the ones of each entry's quotient."""
        bits = string.tobytes()
        found, at, ones = [], 0, b"\1" * self.ones
        for entry in range(int(counts.sum())):
            end = bits.find(b"\0", at, at + self.ones)
            if end < 0 and bits[at : at + self.ones] != ones:
                raise SqhwError(f"its quotients end within {where(entry, counts)}")
            found.append(self.ones if end < 0 else end - at)
            at += self.ones if end < 0 else end - at + 1
        return np.array(found, dtype=np.int64)

    def quotients_after(self, zeros: Ints) -> Ints:
        """Return the bits of the quotients of a weight and of the fillers before it."""
        return 1 + (zeros >> self.remainder_bits)

    @property
    def empty_quotient(self) -> int:
        """Bits of the filler of a channel without a weight (unit: bit)."""
        return self.ones

    def counted(self, masks: Mask) -> EntryCounts:
        """Return the entries of masks; see `StreamFormat.counted`."""
        bits = [self.quotient_bits(Places.of(mask)) for mask in masks]
        return SplitEntries(super().counted(masks), np.array(bits, dtype=np.int64))

    def expected(self, nonzeros: Ints, channels: int, length: int) -> EntryCounts:
        """Return the expected entries of weights at random places; see `StreamFormat.expected`.

        The ones of a channel are as many as fillers of ``1 << k`` zeros would be.
        """
        ones = random_entries(nonzeros, channels, length, 1 << self.remainder_bits)
        bits = ones.total + (self.ones - 1) * ones.empty
        return SplitEntries(super().expected(nonzeros, channels, length), bits)

    def check_kernel(self, in_channels: int, kernel_w: int) -> None:
        """Refuse fillers that are too long for the kernel; see `StreamFormat.check_kernel`."""
        most = reach(in_channels, kernel_w, MAX_TAPS_PER_ENTRY)
        if self.step > most:
            raise SqhwError(
                f"a filler of {self.step} positions is too long for {in_channels} input channels "
                f"and a kernel {kernel_w} wide; at most {most}"
            )

    def check_engine(self, engine: EngineConfig, in_channels: int, kernel_w: int) -> None:
        """Refuse an engine that does not decode the format; see `StreamFormat.check_engine`."""
        if self.ones > engine.quotient_ones:
            raise SqhwError(
                f"a Golomb-Rice stream with fillers of {self.ones} ones exceeds the engine's "
                f"{engine.quotient_ones}; raise quotient_ones or choose the streams for this engine"
            )
        if self.step >> engine.max_gap_bits:
            raise SqhwError(
                f"a filler of {self.step} positions exceeds the {(1 << engine.max_gap_bits) - 1} "
                "of the engine's gaps; raise max_gap_bits"
            )
        most = reach(in_channels, kernel_w, engine.taps_per_entry)
        if self.step > most:
            raise SqhwError(
                f"a filler of {self.step} positions passes more than the {most} that an entry of "
                "this engine may pass; raise taps_per_entry to 2 or choose the streams for this "
                "engine"
            )
        widest = self.widest_entry(engine.word_bits)
        if self.entry_bits > widest:
            raise SqhwError(
                f"Golomb-Rice fields of {self.entry_bits} bits exceed {widest}, half the ROM word "
                f"of {engine.word_bits}; raise word_bits"
            )

    def narrowed(self, before: int, after: int, kernel_w: int) -> Self:
        """Return the format for fewer channels; its entries pass no more taps than before."""
        taps = 1 if self.step <= before else MAX_TAPS_PER_ENTRY
        most = reach(after, kernel_w, taps)
        k = min(self.remainder_bits, most.bit_length() - 1)
        return replace(self, remainder_bits=k, ones=min(self.ones, most >> k))

"""The gap stream: an entry is the zeros before a weight, and the code of the weight.

With a gap field of ``r`` bits an entry is ``gap`` zeros followed by the weight of its code. The gap
``2**r - 1`` is the filler: it skips ``2**r - 1`` positions and carries no weight; its code field
is 0. A channel without a weight is one filler. The gap stands in the low bits of an entry, the code
above it. The engine's decoder advances at most `EngineConfig.taps_per_entry` kernel taps an entry,
hence the limit of `max_gap_bits`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from sqhw.errors import SqhwError
from sqhw.machine.config import MAX_GAP_BITS, MAX_TAPS_PER_ENTRY, EngineConfig
from sqhw.machine.stream.base import check_code_bits, code_width
from sqhw.machine.stream.gaps import GapFormat, reach


def max_gap_bits(
    in_channels: int, kernel_w: int, taps_per_entry: int, limit: int = MAX_GAP_BITS
) -> int:
    """Return the widest gap field of a layer, whose filler passes no more than the `reach`.

    Parameters
    ----------
    in_channels : int
        Input channels of a group.
    kernel_w : int
        Columns of the kernel.
    taps_per_entry : int, 1 or 2
        Kernel taps that an entry may pass.
    limit : int
        Upper bound of the result.
    """
    return min((reach(in_channels, kernel_w, taps_per_entry) + 1).bit_length() - 1, limit)


@dataclass(frozen=True)
class Gap(GapFormat):
    """A stream of non-zero weights, each with the number of zeros before it.

    Parameters
    ----------
    gap_bits : int, 1 to `MAX_GAP_BITS`
        Width of the gap field.
    code_bits : int, 0 to 8
        Width of the code.

    Raises
    ------
    ValueError
        If a width is out of range.
    """

    gap_bits: int
    code_bits: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.gap_bits <= MAX_GAP_BITS:
            raise ValueError(f"gap_bits must be 1 to {MAX_GAP_BITS}, not {self.gap_bits!r}")
        check_code_bits(self.code_bits)

    @classmethod
    def choices(cls, engine: EngineConfig, in_channels: int, kernel_w: int) -> tuple[Self, ...]:
        """Return the formats of rising gap fields that a layer may have on an engine."""
        widest = max_gap_bits(in_channels, kernel_w, engine.taps_per_entry, engine.max_gap_bits)
        return tuple(cls(gap_bits) for gap_bits in range(1, widest + 1))

    @classmethod
    def descriptor_fields(cls, engine: EngineConfig) -> tuple[tuple[str, int], ...]:
        """Return the width of the gap, of engines that read gap streams (unit: bit)."""
        return (("gap_bits", 4),) if engine.max_gap_bits else ()

    def coded(self, values: int) -> Self:
        """Return the format with codes for a codebook of `values` values."""
        return replace(self, code_bits=code_width(values))

    @property
    def name(self) -> str:
        """Name of the format without its codes."""
        return f"gap-{self.gap_bits}"

    @property
    def entry_bits(self) -> int:
        """Width of an entry, gap and code (unit: bit)."""
        return self.gap_bits + self.code_bits

    @property
    def step(self) -> int:
        """Zeros that a filler stands for, which is the gap value that marks it."""
        return (1 << self.gap_bits) - 1

    @property
    def code_at(self) -> int:
        """Lowest bit of the code in an entry."""
        return self.gap_bits

    @property
    def descriptor(self) -> Mapping[str, int]:
        """Values of the descriptor fields by name."""
        return {"gap_bits": self.gap_bits, "entry_bits": self.entry_bits}

    def check_kernel(self, in_channels: int, kernel_w: int) -> None:
        """Refuse a gap field that is too wide for the kernel; see `StreamFormat.check_kernel`."""
        widest = max_gap_bits(in_channels, kernel_w, MAX_TAPS_PER_ENTRY)
        if self.gap_bits > widest:
            raise SqhwError(
                f"a gap field of {self.gap_bits} bits is too wide for {in_channels} input "
                f"channels and a kernel {kernel_w} wide; at most {widest}"
            )

    def check_engine(self, engine: EngineConfig, in_channels: int, kernel_w: int) -> None:
        """Refuse an engine that does not decode the format; see `StreamFormat.check_engine`."""
        if self.gap_bits > engine.max_gap_bits:
            raise SqhwError(
                f"gap field of {self.gap_bits} bits exceeds the engine's {engine.max_gap_bits}; "
                "raise max_gap_bits"
            )
        if self.gap_bits > max_gap_bits(in_channels, kernel_w, engine.taps_per_entry):
            raise SqhwError(
                f"a gap of {self.gap_bits} bits skips up to {self.step} positions, more than the "
                f"{engine.taps_per_entry * in_channels} that an entry of this engine may pass; "
                "raise taps_per_entry to 2 or choose the streams for this engine"
            )
        super().check_engine(engine, in_channels, kernel_w)

    def narrowed(self, before: int, after: int, kernel_w: int) -> Self:
        """Return the format for fewer channels; its entries pass no more taps than before."""
        taps = 1 if self.step <= before else MAX_TAPS_PER_ENTRY
        return replace(self, gap_bits=max_gap_bits(after, kernel_w, taps, self.gap_bits))

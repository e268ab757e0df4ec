"""All weight stream formats: those that a layer may have, and their names in files."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqhw.machine.config import MAX_GAP_BITS, MAX_ONES, EngineConfig
from sqhw.machine.stream.base import StreamFormat
from sqhw.machine.stream.dense import Dense
from sqhw.machine.stream.gap import Gap
from sqhw.machine.stream.rice import Rice

#: Kinds of format, in the order in which tables list them.
FORMATS: tuple[type[StreamFormat], ...] = (Dense, Gap, Rice)


def formats_for(engine: EngineConfig, in_channels: int, kernel_w: int) -> tuple[StreamFormat, ...]:
    """Return the formats that a layer may have on an engine, without codes, the dense one first.

    Codes are added by `StreamFormat.coded`; an entry with its code must still fit a ROM word.

    Parameters
    ----------
    engine : EngineConfig
    in_channels : int
        Input channels of a group.
    kernel_w : int
        Columns of the kernel.
    """
    return tuple(form for kind in FORMATS for form in kind.choices(engine, in_channels, kernel_w))


def descriptor_fields(engine: EngineConfig) -> tuple[tuple[str, int], ...]:
    """Return name and width of the descriptor fields of all formats, the entry's last."""
    own = tuple(field for kind in FORMATS for field in kind.descriptor_fields(engine))
    return (*own, ("entry_bits", engine.word_bits.bit_length()))


@dataclass(frozen=True)
class StreamRecord:
    """A format as network files hold it.

    Parameters
    ----------
    gap_bits : int, 0 to `MAX_GAP_BITS`
        Width of the gap field; 0 is a dense stream. In a Golomb-Rice stream the remainder bits.
    code_bits : int, 0 to 8
    filler_ones : int, 0 to `MAX_ONES`
        Ones of a filler in a Golomb-Rice stream; 0 is one of the other formats. Files of version 1
        lack it.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    gap_bits: int
    code_bits: int
    filler_ones: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.gap_bits <= MAX_GAP_BITS:
            raise ValueError(f"gap_bits must be 0 to {MAX_GAP_BITS}, not {self.gap_bits!r}")
        if not 0 <= self.filler_ones <= MAX_ONES:
            raise ValueError(f"filler_ones must be 0 to {MAX_ONES}, not {self.filler_ones!r}")
        self.form()

    @classmethod
    def of(cls, form: StreamFormat) -> "StreamRecord":
        """Return the record of a format."""
        if isinstance(form, Rice):
            return cls(form.remainder_bits, form.code_bits, form.ones)
        return cls(form.gap_bits if isinstance(form, Gap) else 0, form.code_bits)

    @classmethod
    def of_descriptor(cls, fields: Mapping[str, int]) -> "StreamRecord":
        """Return the record of a layer's descriptor.

        Parameters
        ----------
        fields : mapping of str to int
            Fields of the descriptor by name; an engine may lack those that are not `entry_bits`.
        """
        gap_bits = fields.get("gap_bits", 0)
        return cls(gap_bits, fields["entry_bits"] - gap_bits, fields.get("filler_ones", 0))

    def form(self) -> StreamFormat:
        """Return the format."""
        if self.filler_ones:
            return Rice(self.gap_bits, self.filler_ones, self.code_bits)
        return Gap(self.gap_bits, self.code_bits) if self.gap_bits else Dense(self.code_bits)

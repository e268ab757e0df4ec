"""All weight stream formats: those that a layer may have, and their names in files."""

from dataclasses import dataclass

from sqhw.machine.config import MAX_GAP_BITS, EngineConfig
from sqhw.machine.stream.base import StreamFormat
from sqhw.machine.stream.dense import Dense
from sqhw.machine.stream.gap import Gap

#: Kinds of format, in the order in which tables list them.
FORMATS: tuple[type[StreamFormat], ...] = (Dense, Gap)


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
    """A format as network files of version 1 hold it.

    Parameters
    ----------
    gap_bits : int, 0 to `MAX_GAP_BITS`
        Width of the gap field; 0 is a dense stream.
    code_bits : int, 0 to 8

    Raises
    ------
    ValueError
        If a width is out of range.
    """

    gap_bits: int
    code_bits: int

    def __post_init__(self) -> None:
        if not 0 <= self.gap_bits <= MAX_GAP_BITS:
            raise ValueError(f"gap_bits must be 0 to {MAX_GAP_BITS}, not {self.gap_bits!r}")
        self.form()

    @classmethod
    def of(cls, form: StreamFormat) -> "StreamRecord":
        """Return the record of a format."""
        return cls(form.gap_bits if isinstance(form, Gap) else 0, form.code_bits)

    def form(self) -> StreamFormat:
        """Return the format."""
        return Gap(self.gap_bits, self.code_bits) if self.gap_bits else Dense(self.code_bits)

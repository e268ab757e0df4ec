"""The interface of a weight stream format, and the common parts of all formats."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream.entry_counts import CountedEntries, EntryCounts
from sqhw.machine.stream.places import Entries, Places
from sqhw.machine.stream.strings import Bits, fields_of, numbers_of

#: Width of the widest code: codebooks hold signed bytes (unit: bit).
MAX_CODE_BITS = 8


def code_width(values: int) -> int:
    """Return the width of a code that names one of `values` values, at least 1 (unit: bit)."""
    return max(1, (values - 1).bit_length())


class StreamFormat(ABC):
    """A way to write a layer's weights as entries with fields of one width.

    An entry stands for a position whose weight has a code, for a run of zeros before one, or for
    zeros alone. A format with another width is another object: `coded` gives it.

    Attributes
    ----------
    code_bits : int, 0 to `MAX_CODE_BITS`
        Width of the code, an index into the layer's codebook. 0 is a codebook of one value.
    stores_zeros : bool
        Whether zeros have entries of their own, with a code.
    fillers_have_fields : bool
        Whether entries without a weight have a field too.
    STRINGS : tuple of str
        Descriptor fields with the first word of each string of bits that a layer is written as.
        The first string has the fields of the entries, which are all `entry_bits` wide.
    """

    code_bits: int
    stores_zeros: ClassVar[bool]
    fillers_have_fields: ClassVar[bool] = True
    STRINGS: ClassVar[tuple[str, ...]] = ("weight_addr",)

    @classmethod
    @abstractmethod
    def choices(cls, engine: EngineConfig, in_channels: int, kernel_w: int) -> tuple[Self, ...]:
        """Return the formats of this kind that a layer may have on an engine, without codes."""

    @classmethod
    def descriptor_fields(cls, engine: EngineConfig) -> tuple[tuple[str, int], ...]:
        """Return name and width of the descriptor fields that this kind adds (unit: bit)."""
        return ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the format without its codes."""

    @property
    @abstractmethod
    def entry_bits(self) -> int:
        """Width of an entry's field (unit: bit)."""

    @property
    def constant(self) -> bool:
        """Whether the layer has no bits: all its weights are the one value of its codebook."""
        return self.entry_bits == 0

    @classmethod
    def widest_entry(cls, word_bits: int) -> int:
        """Return the widest field of an entry in ROM words of a width (unit: bit)."""
        return word_bits

    @abstractmethod
    def encode(self, weight: npt.NDArray[Any], codebook: tuple[int, ...]) -> Entries:
        """Encode a layer's weights.

        Parameters
        ----------
        weight : ndarray of int8, shape (out_channels, in_channels, kernel_h, kernel_w)
            Every non-zero value is in `codebook`.
        codebook : tuple of int, ascending
            Values by code; contains 0 if the format stores zeros and a weight is 0.
        """

    @abstractmethod
    def read(self, entry: int) -> tuple[int, int | None]:
        """Return the zeros that an entry passes, and the code after them if it has one."""

    @abstractmethod
    def counts(self, places: Places) -> Ints:
        """Return the entries of each channel without encoding them, shape (out_channels,)."""

    @abstractmethod
    def entries_after(self, zeros: Ints) -> Ints:
        """Return the entries that a weight takes together with the zeros before it."""

    def quotients_after(self, zeros: Ints) -> Ints:
        """Return the bits beside the field that a weight takes together with the zeros before it.

        Formats whose entries are fields have none.
        """
        return np.zeros_like(zeros)

    @property
    def empty_quotient(self) -> int:
        """Bits beside the fields of a channel without a weight (unit: bit)."""
        return 0

    @abstractmethod
    def expected(self, nonzeros: Ints, channels: int, length: int) -> EntryCounts:
        """Return the expected entries of weights at random places.

        Parameters
        ----------
        nonzeros : ndarray of int64, shape (options,), 0 to channels * length
            Numbers of weights that are not zero.
        channels, length : int
            Output channels, and weights of each of them.
        """

    @abstractmethod
    def check_codebook(self, codebook: tuple[int, ...], *, zeros: bool) -> None:
        """Refuse a codebook that does not suit the format.

        Parameters
        ----------
        codebook : tuple of int, ascending
        zeros : bool
            Whether weights of the layer are 0.

        Raises
        ------
        SqhwError
        """

    @abstractmethod
    def check_kernel(self, in_channels: int, kernel_w: int) -> None:
        """Refuse a kernel over which no engine can decode the format.

        Parameters
        ----------
        in_channels : int
            Input channels of a group.
        kernel_w : int
            Columns of the kernel.

        Raises
        ------
        SqhwError
        """

    def check_engine(self, engine: EngineConfig, in_channels: int, kernel_w: int) -> None:
        """Refuse an engine that does not decode the format over a kernel.

        Parameters
        ----------
        engine : EngineConfig
        in_channels : int
            Input channels of a group.
        kernel_w : int
            Columns of the kernel.

        Raises
        ------
        SqhwError
        """
        if self.entry_bits > engine.word_bits:
            raise SqhwError(
                f"stream entries of {self.entry_bits} bits exceed the ROM word of "
                f"{engine.word_bits}; raise word_bits"
            )

    def narrowed(self, before: int, after: int, kernel_w: int) -> Self:
        """Return the format for fewer input channels, for engines that decode the present one.

        Parameters
        ----------
        before, after : int, 1 or more
            Input channels of a group.
        kernel_w : int
            Columns of the kernel.
        """
        return self

    @property
    def descriptor(self) -> Mapping[str, int]:
        """Values of the descriptor fields by name."""
        return {"entry_bits": self.entry_bits}

    @abstractmethod
    def coded(self, values: int) -> Self:
        """Return the format with codes for a codebook of `values` values."""

    def sizes(self, places: Places) -> tuple[int, ...]:
        """Return the bits of each of the layer's `STRINGS` without encoding them."""
        counts = self.counts(places)
        fields = int(counts.sum()) if self.fillers_have_fields else np.count_nonzero(places.nonzero)
        return (int(fields) * self.entry_bits, self.quotient_bits(places))[: len(self.STRINGS)]

    def quotient_bits(self, places: Places) -> int:
        """Return the bits beside the fields of a layer's entries."""
        empty = np.count_nonzero(~places.nonzero.any(axis=1))
        return int(self.quotients_after(places.runs[1]).sum()) + self.empty_quotient * int(empty)

    def written(self, entries: Entries) -> tuple[Bits, ...]:
        """Return the layer's `STRINGS` of bits."""
        return (fields_of(entries.values, self.entry_bits),)

    def taken_from(self, strings: Sequence[Bits], counts: npt.NDArray[np.int32]) -> Entries:
        """Return the entries that strings of bits hold.

        Parameters
        ----------
        strings : sequence of ndarray of uint8
            Bits from the beginning of each string on; what lies behind it is not looked at.
        counts : ndarray of int32, shape (out_channels,)
            Entries of each channel.

        Raises
        ------
        SqhwError
            If a string ends before the entries do; the message says where.
        """
        return Entries(self._fields(strings[0], counts, np.arange(int(counts.sum()))), counts)

    def _fields(self, string: Bits, counts: npt.NDArray[np.int32], owners: Ints) -> Ints:
        """Return the fields of entries; `owners` are the numbers of those that have one."""
        whole = len(string) // self.entry_bits if self.entry_bits else len(owners)
        if whole < len(owners):
            raise SqhwError(f"its fields end before {where(int(owners[whole]), counts)}")
        return numbers_of(string, self.entry_bits, len(owners))

    def counted(self, masks: Mask) -> EntryCounts:
        """Return the entries of masks.

        Parameters
        ----------
        masks : ndarray of bool, shape (options, out_channels, in_channels, kernel_h, kernel_w)
            Non-zero weights.
        """
        counts = [self.counts(Places.of(mask)) for mask in masks]
        return CountedEntries(np.count_nonzero(masks, axis=(1, 2, 3, 4)), np.stack(counts))

    def decode(
        self, entries: Entries, codebook: tuple[int, ...], shape: tuple[int, int, int, int]
    ) -> npt.NDArray[np.int8]:
        """Decode a layer's entries, one at a time, as the hardware does.

        Parameters
        ----------
        entries : Entries
        codebook : tuple of int
        shape : tuple of int (out_channels, in_channels, kernel_h, kernel_w)

        Returns
        -------
        ndarray of int8, shape `shape`

        Raises
        ------
        ValueError
            If an entry points beyond its channel or the codebook.
        """
        out_channels, in_channels, kernel_h, kernel_w = shape
        flat = np.zeros((out_channels, kernel_h * kernel_w * in_channels), dtype=np.int8)
        at = 0
        for channel in range(out_channels):
            position = 0
            for _ in range(int(entries.counts[channel])):
                zeros, code = self.read(int(entries.values[at]))
                at += 1
                position += zeros
                if code is None:
                    continue
                if position >= flat.shape[1]:
                    raise ValueError(
                        f"entry {at - 1} of channel {channel} points at position {position}, "
                        f"the channel has {flat.shape[1]}"
                    )
                if code >= len(codebook):
                    raise ValueError(
                        f"entry {at - 1} of channel {channel} has the code {code}, the codebook "
                        f"has {len(codebook)} values"
                    )
                flat[channel, position] = codebook[code]
                position += 1
        return np.ascontiguousarray(
            flat.reshape(out_channels, kernel_h, kernel_w, in_channels).transpose(0, 3, 1, 2)
        )

    def __str__(self) -> str:
        return f"{self.name}/{self.code_bits}b"


def where(entry: int, counts: npt.NDArray[np.int32]) -> str:
    """Return the name of an entry in error messages: its number in its channel."""
    ends = np.cumsum(counts)
    channel = int(np.searchsorted(ends, entry, side="right"))
    return f"entry {entry - int(ends[channel] - counts[channel])} of channel {channel}"


def check_code_bits(code_bits: int) -> None:
    """Raise ValueError if a width of the code is out of range."""
    if not 0 <= code_bits <= MAX_CODE_BITS:
        raise ValueError(f"code_bits must be 0 to {MAX_CODE_BITS}, not {code_bits!r}")


def check_codes(codebook: tuple[int, ...], code_bits: int) -> None:
    """Raise SqhwError if codes do not name all values of a codebook."""
    if len(codebook) > 1 << code_bits:
        raise SqhwError(
            f"codebook has {len(codebook)} values, {code_bits}-bit codes name only {1 << code_bits}"
        )

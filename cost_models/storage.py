"""The table of ways to store a layer's weights: every number of them, every format and codebook.

`sqhw size`, `compress` and `quantize` and the accounts of a compressed network all read this table.
They differ in their knowledge of the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints, Mask, Numbers
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH
from sqhw.machine.stream import Places, StreamFormat, formats_for


@dataclass(frozen=True)
class Levels:
    """Numbers of distinct values that are not zero.

    Parameters
    ----------
    nonzero : tuple of int
        Numbers to try in formats that store non-zero weights only.
    dense : tuple of int
        Numbers to try in formats that store zeros too, for which one code is needed.
    """

    nonzero: tuple[int, ...]
    dense: tuple[int, ...]

    def of(self, form: StreamFormat) -> tuple[int, ...]:
        """Return the numbers to try in a format."""
        return self.dense if form.stores_zeros else self.nonzero


@dataclass(frozen=True, eq=False)
class Storage:
    """Ways to store a layer's weights; every array has the shape (options,).

    Parameters
    ----------
    formats : tuple of StreamFormat
        Formats of the layer, without codes.
    source : ndarray of int64
        Index of the number of non-zeros that the option is for.
    nonzeros : ndarray of int64
        Weights that are kept.
    levels : ndarray of int64
        Largest number of distinct values of the kept weights.
    form : ndarray of int64
        Index of the option's format.
    code_bits : ndarray of int64
        Width of the code.
    entries : ndarray
        Entries of the stream: whole numbers, or expectations.
    quotients : ndarray
        Bits beside the fields of the entries (unit: bit).
    codebook_words : ndarray of int64
        Values in the codebook, the 0 of a dense stream included.
    """

    formats: tuple[StreamFormat, ...]
    source: Ints
    nonzeros: Ints
    levels: Ints
    form: Ints
    code_bits: Ints
    entries: Numbers
    quotients: Numbers
    codebook_words: Ints

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def entry_bits(self) -> Ints:
        """Width of an entry's field (unit: bit)."""
        bare = np.array([form.entry_bits for form in self.formats], dtype=np.int64)
        widths: Ints = bare[self.form] + self.code_bits
        return widths

    @property
    def stores_zeros(self) -> Mask:
        """Whether the option's format has entries for zeros."""
        found: Mask = np.array([form.stores_zeros for form in self.formats])[self.form]
        return found

    @property
    def field_bits(self) -> Numbers:
        """Bits of the fields of all entries."""
        always = np.array([form.fillers_have_fields for form in self.formats])[self.form]
        bits: Numbers = np.where(always, self.entries, self.nonzeros) * self.entry_bits
        return bits

    @property
    def stream_bits(self) -> Numbers:
        """Bits of all entries."""
        bits: Numbers = self.field_bits + self.quotients
        return bits

    def words(self, word_bits: int) -> Ints:
        """Return the words of the weight ROM; expectations are rounded up, shape (options,)."""
        return words(self.field_bits, word_bits) + words(self.quotients, word_bits)

    @property
    def codebook_bits(self) -> Ints:
        """Bits of the codebook."""
        return self.codebook_words * CODEBOOK_WIDTH

    @property
    def payload_bits(self) -> Ints:
        """Bits of the codes of the weights that are kept."""
        return self.nonzeros * self.code_bits

    def stream(self, option: int) -> StreamFormat:
        """Return the format of an option, with its codes."""
        form = self.formats[int(self.form[option])]
        return form.coded(int(self.codebook_words[option]))

    def has_format(self, wanted: StreamFormat) -> Mask:
        """Return the options that have a format, whatever their codes, shape (options,)."""
        alike = np.array([form.name == wanted.name for form in self.formats])
        found: Mask = alike[self.form]
        return found

    def only(self, chosen: npt.NDArray[Any]) -> "Storage":
        """Return the options of a mask or of indices."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return Storage(parts.pop("formats"), **{name: part[chosen] for name, part in parts.items()})


def words(bits: Numbers, word_bits: int) -> Ints:
    """Return the words that hold the bits; tiny excesses of a sum of floats take none."""
    found: Ints = np.ceil(bits / word_bits - 1e-9).astype(np.int64)
    return found


def storage(
    entries: Sequence[tuple[StreamFormat, Numbers, Numbers]],
    nonzeros: Ints,
    *,
    most_values: Ints,
    has_zeros: Mask,
    levels: Levels,
    word_bits: int,
) -> Storage:
    """Return every option of a layer: each number of non-zeros in each format with each codebook.

    Parameters
    ----------
    entries : sequence of (StreamFormat, ndarray, ndarray), both of shape (counts,)
        Formats without codes, each with its entries and the bits beside their fields.
    nonzeros : ndarray of int64, shape (counts,)
        Weights that are kept.
    most_values : ndarray of int64, shape (counts,), 1 or more
        Largest number of distinct values of these, which is no larger than that of weights.
    has_zeros : ndarray of bool, shape (counts,)
        Whether a dense stream needs a code for 0.
    levels : Levels
    word_bits : int
        Width of the ROM word that an entry must fit (unit: bit).

    Returns
    -------
    Storage
        Options count after count, format after format, codebook after codebook.
    """
    formats = tuple(form for form, *_ in entries)
    pairs = [(at, number) for at, form in enumerate(formats) for number in levels.of(form)]
    form, values = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    zeros = np.array([one.stores_zeros for one in formats])[form]
    shape = (len(nonzeros), len(pairs))
    words = np.minimum(values, most_values[:, None]) + (zeros & has_zeros[:, None])
    total, quotients = (
        np.stack([entries[at][part] for at in form], axis=1).reshape(-1) for part in (1, 2)
    )
    found = Storage(
        formats=formats,
        source=np.repeat(np.arange(len(nonzeros)), len(pairs)),
        nonzeros=np.repeat(nonzeros, len(pairs)),
        levels=np.broadcast_to(values, shape).reshape(-1),
        form=np.broadcast_to(form, shape).reshape(-1),
        code_bits=np.maximum(1, np.ceil(np.log2(words))).astype(np.int64).reshape(-1),
        entries=total,
        quotients=quotients,
        codebook_words=words.reshape(-1),
    )
    widest = np.array([one.widest_entry(word_bits) for one in formats])[found.form]
    return found.only(found.entry_bits <= widest)


def mask_storage(mask: Mask, levels: int, engine: EngineConfig) -> tuple[Storage, list[Ints]]:
    """Return a layer's known weights in every format that an engine reads, the dense one first.

    Parameters
    ----------
    mask : ndarray of bool, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
        Non-zero weights.
    levels : int, 1 or more
        Distinct values of these.
    engine : EngineConfig
        Engine, whose weight ROM holds an entry in one word.

    Returns
    -------
    Storage
        One option a format.
    list of ndarray of int64, shape (out_channels,)
        Entries of each channel, format by format as in ``formats``.
    """
    places = Places.of(mask)
    formats = formats_for(engine, mask.shape[1], mask.shape[3])
    counts = [form.counts(places) for form in formats]
    nonzeros = np.array([np.count_nonzero(mask)])
    table = storage(
        [
            (form, one.sum(keepdims=True), np.array([form.quotient_bits(places)]))
            for form, one in zip(formats, counts, strict=True)
        ],
        nonzeros,
        most_values=np.array([levels]),
        has_zeros=nonzeros < mask.size,
        # A layer without weights has one dense value, which is 0.
        levels=Levels((levels,), (levels if nonzeros[0] else 0,)),
        word_bits=engine.word_bits,
    )
    return table, counts

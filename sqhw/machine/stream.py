"""The weight stream: how the weights of a layer become entries of (gap, code).

The weights of one output channel are visited kernel row by kernel row, kernel column by kernel
column, input channel innermost: position ``(ky * kernel_w + kx) * in_channels + channel``.

With a gap field of ``r > 0`` bits an entry is ``gap`` zeros followed by the weight of its code.
The gap ``2**r - 1`` is the filler: it skips ``2**r - 1`` positions and carries no weight; its
code field is 0. With ``r = 0`` (dense) every position has an entry. Each channel has at least one
entry, so a channel without a weight is one filler. The engine's decoder advances at most
`EngineConfig.taps_per_entry` kernel taps an entry, hence the limit of `max_gap_bits`.

In the bit stream the gap stands in the low bits of an entry, the code above it; entries follow
each other from bit 0 of a word upwards without padding, and each layer begins a new word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Kernel taps that an entry passes at most on any engine.
MAX_TAPS_PER_ENTRY = 2
MAX_GAP_BITS = 12


@dataclass(frozen=True)
class StreamFormat:
    """Field widths of a layer's weight stream.

    Parameters
    ----------
    gap_bits : int, 0 to `MAX_GAP_BITS`
        Width of the gap field; 0 means dense.
    code_bits : int, 0 to 8
        Width of the code, an index into the layer's codebook. 0 is a codebook of one value.

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
        if not 0 <= self.code_bits <= 8:
            raise ValueError(f"code_bits must be 0 to 8, not {self.code_bits!r}")

    @property
    def dense(self) -> bool:
        """True if every position has an entry."""
        return self.gap_bits == 0

    @property
    def entry_bits(self) -> int:
        """Width of an entry (unit: bit)."""
        return self.gap_bits + self.code_bits

    @property
    def filler(self) -> int:
        """Gap value that marks a filler (0 in the dense format, which has none)."""
        return (1 << self.gap_bits) - 1

    def __str__(self) -> str:
        name = "dense" if self.dense else f"gap-{self.gap_bits}"
        return f"{name}/{self.code_bits}b"


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of one layer, channel after channel.

    Parameters
    ----------
    gaps : ndarray of int32, shape (entries,)
        Gap fields.
    codes : ndarray of int32, shape (entries,)
        Code fields; 0 for fillers.
    counts : ndarray of int32, shape (out_channels,)
        Entries of each channel, at least 1.
    """

    gaps: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]


def max_gap_bits(
    in_channels: int, kernel_w: int, taps_per_entry: int, limit: int = MAX_GAP_BITS
) -> int:
    """Return the widest gap field of a layer.

    A filler of ``2**r - 1`` positions passes the end of the channels as often as they go into it,
    rounded up, and no entry passes it more often. Two taps on must be in the same line of the
    kernel or in the next one, so a kernel of one column admits one tap.

    Parameters
    ----------
    in_channels : int
        Input channels of a group.
    kernel_w : int
        Columns of the kernel.
    taps_per_entry : int, 1 or 2
        Kernel taps that an entry may pass.
    limit : int
        The result is at most this.
    """
    taps = taps_per_entry if kernel_w > 1 else 1
    return min((taps * in_channels + 1).bit_length() - 1, limit)


def channel_order(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the weights in stream order, shape (out_channels, kernel_h * kernel_w * in_channels).

    Parameters
    ----------
    weight : ndarray, shape (out_channels, in_channels, kernel_h, kernel_w)
    """
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(weight.shape[0], -1)


def count_entries(nonzero: npt.NDArray[np.bool_], gap_bits: int) -> npt.NDArray[np.int64]:
    """Return the entries of each channel without encoding them.

    Parameters
    ----------
    nonzero : ndarray of bool, shape (out_channels, positions)
        Where the weights are, in stream order.
    gap_bits : int, 0 to 12

    Returns
    -------
    ndarray of int64, shape (out_channels,)
    """
    if gap_bits == 0:
        return np.full(nonzero.shape[0], nonzero.shape[1], dtype=np.int64)
    return _counted(nonzero, (gap_bits,))[0]


def count_all_entries(nonzero: npt.NDArray[np.bool_], formats: int) -> npt.NDArray[np.int64]:
    """Return the entries of each channel for several widths of the gap field.

    Parameters
    ----------
    nonzero : ndarray of bool, shape (out_channels, positions)
        Where the weights are, in stream order.
    formats : int, 1 to 13
        Widths of the gap field, from 0.

    Returns
    -------
    ndarray of int64, shape (formats, out_channels)
    """
    return np.stack((count_entries(nonzero, 0), *_counted(nonzero, range(1, formats))))


def _counted(nonzero: npt.NDArray[np.bool_], widths: Iterable[int]) -> list[npt.NDArray[np.int64]]:
    """Return the entries of each channel for rising widths of the gap field, 1 or more."""
    channels = nonzero.shape[0]
    rows, gaps = _gaps(nonzero)
    weights = np.bincount(rows, minlength=channels)
    counts = []
    for gap_bits in widths:
        step = (1 << gap_bits) - 1
        far = np.flatnonzero(gaps >= step)
        rows, gaps = rows[far], gaps[far]  # wider fields have fillers there only
        fillers = np.bincount(rows, weights=gaps // step, minlength=channels)
        counts.append(np.maximum(weights + fillers.astype(np.int64), 1))
    return counts


def encode(weight: npt.NDArray[Any], codebook: tuple[int, ...], stream: StreamFormat) -> Entries:
    """Encode a layer's weights.

    Parameters
    ----------
    weight : ndarray of int8, shape (out_channels, in_channels, kernel_h, kernel_w)
        Every non-zero value is in `codebook`.
    codebook : tuple of int, ascending
        Values by code; contains 0 if the stream is dense and a weight is 0.
    stream : StreamFormat

    Returns
    -------
    Entries
    """
    flat = channel_order(weight)
    book = np.array(codebook)
    if stream.dense:
        codes = np.searchsorted(book, flat.reshape(-1)).astype(np.int32)
        counts = np.full(flat.shape[0], flat.shape[1], dtype=np.int32)
        return Entries(np.zeros_like(codes), codes, counts)
    nonzero = flat != 0
    counts64 = count_entries(nonzero, stream.gap_bits)
    rows, gaps = _gaps(nonzero)
    fillers = gaps // stream.filler
    ends = np.cumsum(fillers + 1)
    # A channel without a weight shifts everything behind it by its one filler.
    empty = ~nonzero.any(axis=1)
    at = ends - 1 + np.cumsum(empty)[rows]
    out_gaps = np.full(int(counts64.sum()), stream.filler, dtype=np.int32)
    out_codes = np.zeros_like(out_gaps)
    out_gaps[at] = gaps % stream.filler
    out_codes[at] = np.searchsorted(book, flat[nonzero])
    return Entries(out_gaps, out_codes, counts64.astype(np.int32))


def decode(
    entries: Entries,
    codebook: tuple[int, ...],
    stream: StreamFormat,
    shape: tuple[int, int, int, int],
) -> npt.NDArray[np.int8]:
    """Decode a layer's entries, one at a time, as the hardware does.

    Parameters
    ----------
    entries : Entries
    codebook : tuple of int
    stream : StreamFormat
    shape : tuple of int (out_channels, in_channels, kernel_h, kernel_w)

    Returns
    -------
    ndarray of int8, shape `shape`

    Raises
    ------
    ValueError
        If an entry points beyond its channel.
    """
    out_channels, in_channels, kernel_h, kernel_w = shape
    flat = np.zeros((out_channels, kernel_h * kernel_w * in_channels), dtype=np.int8)
    at = 0
    for channel in range(out_channels):
        position = 0
        for _ in range(int(entries.counts[channel])):
            gap, code = int(entries.gaps[at]), int(entries.codes[at])
            at += 1
            position += gap
            if not stream.dense and gap == stream.filler:
                continue
            if position >= flat.shape[1]:
                raise ValueError(
                    f"entry {at - 1} of channel {channel} points at position {position}, "
                    f"the channel has {flat.shape[1]}"
                )
            flat[channel, position] = codebook[code]
            position += 1
    return np.ascontiguousarray(
        flat.reshape(out_channels, kernel_h, kernel_w, in_channels).transpose(0, 3, 1, 2)
    )


def _gaps(
    nonzero: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, for every non-zero, its channel and the zeros between it and the one before."""
    channels, positions = nonzero.shape
    places = np.flatnonzero(nonzero)
    starts = np.searchsorted(places, positions * np.arange(channels + 1))
    counts = np.diff(starts)
    rows = np.repeat(np.arange(channels), counts)
    gaps = np.diff(places, prepend=-1) - 1
    first = starts[:-1][counts > 0]
    gaps[first] = places[first] - rows[first] * positions
    return rows, gaps

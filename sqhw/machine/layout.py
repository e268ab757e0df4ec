"""The parameter ROM, field by field: the one definition for cost model, compiler and RTL.

The parameter ROM begins with one descriptor a layer, all of the same number of words, in
execution order. The channel records of each layer follow from a word boundary, bit after bit
without padding, in channel order, and after them the layer's table, if it has one. Fields go from
the low bits upwards, in the order of this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import signed_width, unsigned_width
from sqhw.machine.stream import descriptor_fields as stream_fields

#: Names of the ROMs, in the order in which an engine that can write them counts them.
ROMS = ("weights", "params", "codebook")
#: Engine fields with the width of the addresses of each ROM.
ADDRESSES = ("weight_addr_bits", "param_addr_bits", "codebook_addr_bits")
RECORD_FIELDS = ("count", "bias_lo", "bias_hi", "multiplier", "shift")
COUNT_BITS = 16
CODEBOOK_WIDTH = 8  # bits of a codebook entry: a signed weight
SHIFT_BITS = 5
#: Entries of the table of an activation function, and bits of an entry.
TABLE_ENTRIES = 256
TABLE_WIDTH = 8


def rom_widths(engine: EngineConfig) -> dict[str, int]:
    """Return the word width of each of the `ROMS` (unit: bit)."""
    word = engine.word_bits
    return {"weights": word, "params": word, "codebook": CODEBOOK_WIDTH}


def check_depths(engine: EngineConfig, depths: Mapping[str, int]) -> None:
    """Check the depths of ROMs (unit: word).

    Raises
    ------
    SqhwError
        If they are not those of the `ROMS`, or a depth is no whole number from 1 to the words
        that the engine addresses.
    """
    if not isinstance(depths, Mapping) or set(depths) != set(ROMS):
        found = sorted(map(str, depths)) if isinstance(depths, Mapping) else depths
        raise SqhwError(f"depths must be those of the ROMs {', '.join(ROMS)}, not {shown(found)}")
    for rom, field in zip(ROMS, ADDRESSES, strict=True):
        depth, most = depths[rom], 1 << getattr(engine, field)
        whole = isinstance(depth, int) and not isinstance(depth, bool)
        if not whole or not 1 <= depth <= most:
            raise SqhwError(
                f"the depth of the ROM {rom!r} must be 1 to {most} words, which {field} "
                f"addresses, not {shown(depth)}"
            )


def descriptor_fields(engine: EngineConfig) -> tuple[tuple[str, int], ...]:
    """Return (name, width in bits) of every field of a layer descriptor, low bits first.

    Row addresses are modulo the bank depth, so a start above the map (padding) is a large number.
    """
    row, lane, dim = engine.row_bits, engine.lane_bits, engine.dim_bits
    width = engine.word_bits.bit_length()
    groups = (
        ("group_channels", row),  # input channels that an output channel reads
        ("group_last", row),  # output channels of a group - 1
    )
    residuals = (
        ("skip", 1),  # each channel begins with an entry from another map
        ("skip_signed", 1),
        ("skip_weight", 8),
        ("skip_row", row),  # row of output channel 0 in tile 0, modulo the bank depth
        ("skip_channels", row),
        ("skip_first", row),  # output channels with an addend
        ("skip_last", row),
    )
    pool = (("pool", 1),)  # maximum instead of multiply-accumulate; one input channel a channel
    write = (
        ("out_walk", 1),  # does not lie in memory as it is computed
        ("out_serial", 1),  # one byte a cycle; the others write `requantizers`
    )
    table = (
        ("table", 1),  # bytes are looked up in a table
        ("table_addr", engine.param_addr_bits),
    )
    batch = (("batch_shift", engine.batch_bits.bit_length()),)  # log2 of the images of a run
    return (
        ("last", 1),  # the network ends with this layer
        *(pool if engine.maxpool else ()),
        ("in_signed", 1),
        ("clamp_lo", 8),  # two's complement, -128..0
        ("clamp_hi", 8),  # unsigned, 0..255
        # input tensor
        ("in_channels", row),  # rows of one vector of positions
        ("in_split", 1),  # stored as four phases (stride 2)
        ("in_phase_rows", row),  # rows from one phase to the next
        ("in_pitch_rows", row),  # (pitch // lanes) * in_channels
        ("in_pitch_lane", lane),  # pitch % lanes
        ("in_last_x", dim),  # width - 1
        ("in_last_y", dim),
        # kernel
        ("start_row", row),  # row of the first kernel position for tile 0
        ("start_lane", lane),
        ("start_phase_x", 1),
        ("start_phase_y", 1),
        ("start_dx", dim + 1),  # -padding_left, two's complement
        ("start_dy", dim + 1),  # -padding_top
        ("last_dx", dim + 1),  # kernel width - 1 - padding_left
        *(batch if engine.max_batch > 1 else ()),
        *(groups if engine.groups else ()),
        *(residuals if engine.residuals else ()),
        # tiles: `lanes` consecutive elements of a map with the input's pitch
        ("pitch_last_x", dim),  # pitch - 1
        ("last_tile", row),  # tiles - 1
        ("last_channel", row),  # output channels - 1
        # output tensor
        ("out_base", row),
        ("out_channels", row),
        ("out_split", 1),
        ("out_phase_rows", row),
        ("out_pitch_rows", row),
        ("out_pitch_lane", lane),
        ("out_last_x", dim),
        ("out_last_y", dim),
        *(write if engine.requantizers > 1 else ()),
        # weight stream
        ("weight_addr", engine.weight_addr_bits),
        *stream_fields(engine),
        ("codebook_addr", engine.codebook_addr_bits),
        # channel records
        ("param_addr", engine.param_addr_bits),
        ("count_base", COUNT_BITS),
        ("count_width", width),
        ("bias_lo_width", width),
        ("bias_hi_width", width),
        ("bias_shift", SHIFT_BITS),
        ("multiplier_base", engine.mult_bits),
        ("multiplier_width", width),
        ("shift_base", SHIFT_BITS),
        ("shift_width", 3),
        *(table if engine.tables else ()),
    )


def descriptor_bits(engine: EngineConfig) -> int:
    """Return the width of a layer descriptor before padding (unit: bit)."""
    return sum(width for _, width in descriptor_fields(engine))


def descriptor_words(engine: EngineConfig) -> int:
    """Return the words of a layer descriptor in the parameter ROM."""
    return -(-descriptor_bits(engine) // engine.word_bits)


def table_words(engine: EngineConfig) -> int:
    """Return the words of a table in the parameter ROM."""
    return -(-TABLE_ENTRIES * TABLE_WIDTH // engine.word_bits)


@dataclass(frozen=True)
class RecordFormat:
    """Widths and bases of a layer's channel records, the narrowest that hold its values.

    A field holds ``value - base`` in ``width`` bits; a field that is the same for all channels
    has width 0. The bias is stored as two's complement ``bias >> bias_shift`` (exact: the low
    bits are zero in all channels), split into a low and a high part of at most a word.

    Parameters
    ----------
    count_base, multiplier_base, shift_base : int
        Numbers that are added to the stored fields.
    bias_shift : int
        Number of zeros at the bottom of every bias.
    widths : tuple of int
        Widths of `RECORD_FIELDS` (unit: bit).
    """

    count_base: int
    bias_shift: int
    multiplier_base: int
    shift_base: int
    widths: tuple[int, int, int, int, int]

    @property
    def bits(self) -> int:
        """Width of one channel's record (unit: bit)."""
        return sum(self.widths)


def record_format(
    counts: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    multiplier: npt.NDArray[Any],
    shift: npt.NDArray[Any],
    word_bits: int,
) -> RecordFormat:
    """Return the narrowest record format of a layer.

    Parameters
    ----------
    counts, bias, multiplier, shift : ndarray of int, shape (channels,)
        Stream entries, bias and requantization constants of each channel.
    word_bits : int
        Word width of the ROM, which bounds the width of a field (unit: bit).
    """
    any_bit = int(np.bitwise_or.reduce(np.abs(bias.astype(np.int64))))
    bias_shift = (any_bit & -any_bit).bit_length() - 1 if any_bit else 0
    stored = bias.astype(np.int64) >> bias_shift
    bias_bits = max(signed_width(int(stored.min())), signed_width(int(stored.max())))
    low = min(bias_bits, word_bits)
    return RecordFormat(
        count_base=int(counts.min()),
        bias_shift=bias_shift,
        multiplier_base=int(multiplier.min()),
        shift_base=int(shift.min()),
        widths=(
            unsigned_width(int(counts.max() - counts.min())),
            low,
            bias_bits - low,
            unsigned_width(int(multiplier.max() - multiplier.min())),
            unsigned_width(int(shift.max() - shift.min())),
        ),
    )


def record_values(
    form: RecordFormat,
    counts: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    multiplier: npt.NDArray[Any],
    shift: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Return the stored fields of every channel, shape (channels, 5), unsigned."""
    low, high = form.widths[1], form.widths[2]
    stored = bias.astype(np.int64) >> form.bias_shift
    return np.stack(
        [
            counts.astype(np.int64) - form.count_base,
            stored & ((1 << low) - 1),
            (stored >> low) & ((1 << high) - 1),
            multiplier.astype(np.int64) - form.multiplier_base,
            shift.astype(np.int64) - form.shift_base,
        ],
        axis=1,
    )


def pack(values: Sequence[int], widths: Sequence[int], word_bits: int) -> list[int]:
    """Pack fields from bit 0 upwards into words; the last word is filled with zeros.

    Raises
    ------
    ValueError
        If a value does not fit its width.
    """
    words: list[int] = []
    buffer = filled = 0
    for value, width in zip(values, widths, strict=True):
        if value < 0 or value >> width:
            raise ValueError(f"{value} does not fit {width} bits")
        buffer |= int(value) << filled
        filled += width
        while filled >= word_bits:
            words.append(buffer & ((1 << word_bits) - 1))
            buffer >>= word_bits
            filled -= word_bits
    if filled:
        words.append(buffer)
    return words


def pack_descriptor(fields: Mapping[str, int], engine: EngineConfig) -> list[int]:
    """Pack a layer descriptor into words; negative values become two's complement.

    Raises
    ------
    ValueError
        If a field is missing or does not fit; the message names it.
    """
    layout = descriptor_fields(engine)
    values = []
    for name, width in layout:
        value = fields[name]
        if not -(1 << width) // 2 <= value < 1 << width:
            raise ValueError(f"descriptor field {name} = {value} does not fit {width} bits")
        values.append(value & ((1 << width) - 1))
    words = pack(values, [width for _, width in layout], engine.word_bits)
    return words + [0] * (descriptor_words(engine) - len(words))

"""ROM images as strings of bits, and the numbers in the parameter ROM as the engine reads them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    COUNT_BITS,
    RECORD_FIELDS,
    SHIFT_BITS,
    descriptor_bits,
    descriptor_fields,
)
from sqhw.machine.stream import Bits, numbers_of


def bits_of(words: Sequence[int], width: int) -> Bits:
    """Return the bits of a ROM, the lowest of each word first."""
    numbers = np.array(words, np.uint64)[:, None] >> np.arange(width, dtype=np.uint64)
    return (numbers & np.uint64(1)).astype(np.uint8).reshape(-1)


def numbers(bits: Bits, width: int) -> Ints:
    """Return the unsigned numbers of `width` bits that follow each other."""
    return numbers_of(bits.reshape(-1), width, bits.size // width if width else 0)


def signed(values: npt.NDArray[np.int64], width: int) -> Ints:
    """Return the low `width` bits of numbers in two's complement; those of no bits are 0."""
    if not width:
        return np.zeros_like(values)
    sign = np.int64(1) << (width - 1)
    found: Ints = ((values & ((np.int64(1) << width) - 1)) ^ sign) - sign
    return found


def descriptor_at(params: Bits, first: int, engine: EngineConfig) -> dict[str, int]:
    """Return the fields of the descriptor at a bit, as unsigned numbers."""
    fields, bits = {}, params[first : first + descriptor_bits(engine)]
    for name, width in descriptor_fields(engine):
        fields[name] = int(numbers(bits[:width], width).sum())
        bits = bits[width:]
    return fields


def record_widths(fields: Mapping[str, int]) -> dict[str, int]:
    """Return the width of each field of a layer's records by name (unit: bit)."""
    return {name: fields[f"{name}_width"] for name in RECORD_FIELDS}


def records_at(params: Bits, fields: Mapping[str, int], engine: EngineConfig) -> dict[str, Ints]:
    """Return the constants of a layer's channels: ``count``, ``bias``, ``multiplier``, ``shift``.

    All are as wide as the engine's registers, whatever the bits are: a sum that does not fit loses
    its high bits.

    Parameters
    ----------
    params : ndarray of uint8
        Bits of the parameter ROM.
    fields : mapping of str to int
        Descriptor of the layer.
    engine : EngineConfig
    """
    widths = record_widths(fields)
    channels = fields["last_channel"] + 1
    size = sum(widths.values())
    first = fields["param_addr"] * engine.word_bits
    rows = params[first : first + channels * size].reshape(channels, size)
    found: dict[str, Ints] = {}
    start = 0
    for name, width in widths.items():
        column = rows[:, start : start + width]
        found[name] = numbers(column, width) if width else np.zeros(channels, np.int64)
        start += width
    low, high = widths["bias_lo"], widths["bias_hi"]
    bias = signed(found["bias_hi"] << low | found["bias_lo"], low + high)
    bias = signed(bias, engine.acc_bits) << fields["bias_shift"]
    ends = {"count": COUNT_BITS, "multiplier": engine.mult_bits, "shift": SHIFT_BITS}
    return {"bias": signed(bias, engine.acc_bits)} | {
        name: (found[name] + fields[f"{name}_base"]) & ((1 << width) - 1)
        for name, width in ends.items()
    }

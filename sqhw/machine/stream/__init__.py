"""The weight stream: the entries that the weights of a layer become.

The weights of one output channel are visited kernel row by kernel row, kernel column by kernel
column, input channel innermost: position ``(ky * kernel_w + kx) * in_channels + channel``. Each
channel has at least one entry. In the bit stream entries follow each other from bit 0 of a word
upwards without padding, and each layer begins a new word.

A format is one class that derives from `StreamFormat` and stands in `FORMATS`: `Dense`, `Gap` and
`Rice`. Its decoder is a component in ``rtl/``; `sqhw.rtl.stream_decoder` names the formats that it
reads.
"""

from sqhw.machine.stream.base import (
    MAX_CODE_BITS,
    StreamFormat,
    code_width,
)
from sqhw.machine.stream.dense import Dense
from sqhw.machine.stream.entry_counts import CountedEntries, EntryCounts, EqualEntries
from sqhw.machine.stream.formats import FORMATS, StreamRecord, descriptor_fields, formats_for
from sqhw.machine.stream.gap import Gap, max_gap_bits
from sqhw.machine.stream.gaps import reach
from sqhw.machine.stream.places import Entries, Places, channel_order
from sqhw.machine.stream.rice import Rice
from sqhw.machine.stream.strings import Bits, numbers_of, words_of

__all__ = [
    "FORMATS",
    "MAX_CODE_BITS",
    "Bits",
    "CountedEntries",
    "Dense",
    "Entries",
    "EntryCounts",
    "EqualEntries",
    "Gap",
    "Places",
    "Rice",
    "StreamFormat",
    "StreamRecord",
    "channel_order",
    "code_width",
    "descriptor_fields",
    "formats_for",
    "max_gap_bits",
    "numbers_of",
    "reach",
    "words_of",
]

"""Layout of a plan: records that the compiled code reads and `sqhw.sim.plan` writes.

A plan is one block of bytes. Offsets are in bytes, from the start of the plan (``entries``,
``channels``, ``blocks``), or from the start of the arena that holds the activations (``x``, ``y``,
``skip``).
"""

import numpy as np

#: Fields of an operation, int64 each. ``x_group``, ``y_group``, ``skip_group``: bytes from a group
#: of images to the next. ``y_plane``: bytes from a pair of output channels to the next.
#: ``skip_step``: bytes from a column to the next in the tensor that is added. ``sums``,
#: ``sums_plane``: place of unfinished sums, and bytes from those of an output channel to the next.
#: ``outputs``: channel records. ``segments``: segments of a group, each of ``segment_columns``.
#: ``table``: entry of the index 0, two bytes each.
OP_FIELDS = (
    "variant",
    "x",
    "x_group",
    "y",
    "y_group",
    "y_plane",
    "skip",
    "skip_group",
    "skip_step",
    "sums",
    "sums_plane",
    "entries",
    "channels",
    "outputs",
    "blocks",
    "block_segments",
    "segments",
    "segment_columns",
    "lowest",
    "highest",
    "table",
)
#: Offsets of a segment of a block, int64 each.
BLOCK_FIELDS = ("x", "y", "skip")
#: Methods of requantization: one rounded multiplication where that is proven equal, the definition
#: in float64, which is exact, or none: sums are stored.
ROUND, DEFINITION, RAW = range(3)
#: Record of an output channel, or of a pair of channels of a maximum. ``begin`` and ``end`` number
#: its entries, ``skip`` is the offset of the pair of channels of which one is added, -1 for none.
#: With ``go_on`` the sums begin with those that are stored. ``upper``: whether it is the upper one
#: of its ``pair``, which comes after the lower one. ``scale`` and ``offset`` give an output's
#: distance from the lowest.
CHANNEL = np.dtype(
    [
        ("multiplier", "<f8"),
        ("half", "<f8"),
        ("unit", "<f8"),
        ("begin", "<i4"),
        ("end", "<i4"),
        ("method", "<i4"),
        ("go_on", "<i4"),
        ("skip", "<i4"),
        ("skip_weights", "<i4"),
        ("bias", "<i4"),
        ("scale", "<f4"),
        ("offset", "<f4"),
        ("pair", "<i4"),
        ("upper", "<i4"),
        ("unused", "<i4"),
    ]
)
#: Entry of two weights: offset of their pairs of activations in the input, and two int16.
ENTRY = np.dtype([("offset", "<i4"), ("weights", "<i4")])
#: Fields of images that are packed or unpacked, int64 each: number and shape, and the bytes from a
#: group, a pair of channels and a row of the tensor to the next.
MAP_FIELDS = ("images", "channels", "height", "width", "group", "plane", "row")

"""The plan of a network: all that the compiled code needs, in one block of bytes.

Layers with small maps come last in most networks. They run on several groups of images at once,
because one group does not fill the vectors of a block; all layers before run group after group, so
that their maps stay in the cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.stream import channel_order
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim.emit import COLUMNS, FLOATS, INTEGERS, MAXIMUM, VARIANTS, Variant
from sqhw.sim.layout import Layout, paddings, places
from sqhw.sim.plan_layout import CHANNEL, DEFINITION, ENTRY, OP_FIELDS, RAW, ROUND
from sqhw.sim.requantizer import roundings

#: Static bound from which float32 does not hold every integer.
EXACT_FLOATS = 1 << 24
#: Number of positions of a map below which a layer runs on several groups of images at once.
SMALL_MAP = 32
#: Largest number of groups at once, and the size of the arena that they may need (unit: byte).
MAX_GROUPS = 8
MAX_ARENA_BYTES = 1 << 27
#: Alignment of the parts of a plan (unit: byte).
ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Plan:
    """A network, prepared.

    Parameters
    ----------
    content : ndarray of uint8
        Channel records, entries and blocks.
    operations : ndarray of int64, shape (layers, fields)
        Fields of `sqhw.sim.plan_layout.OP_FIELDS`.
    split : int
        Number of layers that run group after group.
    groups : int
        Number of groups of images at once.
    layouts : dict of str to Layout
    offsets : dict of str to int
        Place of each tensor in the arena (unit: byte).
    arena_bytes : int
        Size of the arena.
    """

    content: npt.NDArray[np.uint8]
    operations: npt.NDArray[np.int64]
    split: int
    groups: int
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    arena_bytes: int

    @property
    def images(self) -> int:
        """Largest number of images at once."""
        return self.groups * self.layouts[INPUT].lanes


@dataclass(frozen=True)
class Choice:
    """What a plan is made for.

    Parameters
    ----------
    lanes : int
        Images of a vector.
    keep : bool
        Whether all tensors are there at the end.
    integers : bool
        Whether sums are int32 also where float32 is exact.
    raw : frozenset of str
        Layers whose sums are stored instead of their outputs.
    """

    lanes: int
    keep: bool = False
    integers: bool = False
    raw: frozenset[str] = frozenset()


class _Content:
    """Parts of a plan, one after another."""

    def __init__(self) -> None:
        self.parts: list[npt.NDArray[np.uint8]] = []
        self.size = 0

    def add(self, part: npt.NDArray[Any]) -> int:
        """Add a part and return its offset (unit: byte)."""
        offset = self.size
        content = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        gap = -content.size % ALIGNMENT
        self.parts += [content, np.zeros(gap, np.uint8)]
        self.size += content.size + gap
        return offset


def prepare(network: QuantizedNetwork, choice: Choice) -> Plan:
    """Return the plan of a network."""
    positions = [height * width for _, height, width in network.shapes().values()][1:]
    split = len(positions)
    while not choice.keep and split and positions[split - 1] < SMALL_MAP:
        split -= 1
    groups = 1 if choice.keep else MAX_GROUPS
    layouts, offsets, size = _place(network, choice, split, groups)
    while groups > 1 and size > MAX_ARENA_BYTES:
        groups //= 2
        layouts, offsets, size = _place(network, choice, split, groups)
    content = _Content()
    operations = np.zeros((len(network.layers), len(OP_FIELDS)), np.int64)
    for at, layer in enumerate(network.layers):
        planner = _Layer(network, layouts, offsets, choice)
        fields = planner.operation(layer, content, groups if at >= split else 1)
        operations[at] = [fields[name] for name in OP_FIELDS]
    return Plan(np.concatenate(content.parts), operations, split, groups, layouts, offsets, size)


def _place(
    network: QuantizedNetwork, choice: Choice, split: int, groups: int
) -> tuple[dict[str, Layout], dict[str, int], int]:
    """Return layouts, offsets and the size of the arena."""
    shapes, sides = network.shapes(), paddings(network)
    by_group = {INPUT, *(layer.name for layer in network.layers[:split])}
    lasting = {INPUT, network.layers[-1].name}
    for layer in network.layers[split:]:
        lasting |= set(layer.sources)
    layouts = {
        name: Layout(shape, sides[name], choice.lanes, 1 if name in by_group - lasting else groups)
        for name, shape in shapes.items()
    }
    keep = frozenset(shapes) if choice.keep else frozenset({INPUT, network.layers[-1].name})
    return layouts, *places(network, layouts, keep)


@dataclass
class _Layer:
    """Writes the parts of one layer."""

    network: QuantizedNetwork
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    choice: Choice

    def operation(self, layer: Conv | MaxPool, content: _Content, groups: int) -> dict[str, int]:
        """Return the fields of a layer's operation."""
        x, y = self.layouts[layer.source], self.layouts[layer.name]
        width = y.shape[2]
        columns = next(number for number in COLUMNS if width % number == 0)
        fields = dict.fromkeys(OP_FIELDS, 0)
        fields |= {
            "x": self.offsets[layer.source],
            "y": self.offsets[layer.name],
            "y_plane": y.plane,
            "outputs": y.shape[0],
            "segments": y.shape[1] * (width // columns),
        }
        skip = layer.residual if isinstance(layer, Conv) else None
        tensors = {"x": x, "y": y}
        if skip:
            tensors["skip"] = self.layouts[skip.source]
            fields["skip"] = self.offsets[skip.source]
            fields["skip_step"] = skip.stride * tensors["skip"].column
        if groups == 1:
            fields |= {f"{name}_group": tensor.group for name, tensor in tensors.items()}
        form = self.network.formats()[layer.name]
        fields |= {"lowest": form.lo, "highest": form.hi}
        operation = MAXIMUM
        if isinstance(layer, MaxPool):
            channels, entries = _maximum(layer, x, form.lo)
        else:
            bound = self._bound(layer)
            exact = int(bound.max()) < EXACT_FLOATS and not self.choice.integers
            operation = FLOATS if exact else INTEGERS
            number = np.float32 if exact else np.int32
            channels, entries = _sums(layer, x, number)
            _requantize(layer, channels, bound, number)
            if layer.name in self.choice.raw:
                channels["method"] = RAW
            if skip:
                _skip(layer, channels, tensors["skip"], number)
        variant = Variant(operation, layer.stride, columns)
        fields["variant"] = VARIANTS.index(variant)
        fields["block_segments"] = variant.segments
        fields["channels"] = content.add(channels)
        fields["entries"] = content.add(entries)
        fields["blocks"] = content.add(_blocks(layer, tensors, variant, groups))
        return fields

    def _bound(self, layer: Conv) -> npt.NDArray[np.int64]:
        formats = self.network.formats()
        skip = formats[layer.residual.source] if layer.residual else None
        return layer.acc_bound(formats[layer.source], skip)


def _bits(values: npt.NDArray[Any], number: type) -> npt.NDArray[np.int32]:
    """Return numbers of a type as the bits of int32."""
    return values.astype(number).view(np.int32)


def _sums(layer: Conv, x: Layout, number: type) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return channel records without requantization, and the entries of a convolution."""
    flat = channel_order(layer.weight)
    outputs, positions = np.nonzero(flat)
    in_channels, kernel_w = layer.weight.shape[1], layer.kernel[1]
    tap, channel = np.divmod(positions, in_channels)
    channel += outputs // (flat.shape[0] // layer.groups) * in_channels
    row, column = np.divmod(tap, kernel_w)
    entries = np.empty(len(outputs), ENTRY)
    entries["offset"] = channel * x.plane + row * x.row + column * x.column
    entries["weight"] = _bits(flat[outputs, positions], number)
    ends = np.searchsorted(outputs, np.arange(flat.shape[0] + 1))
    channels = np.zeros(flat.shape[0], CHANNEL)
    channels["begin"], channels["end"] = ends[:-1], ends[1:]
    channels["skip"] = -1
    channels["bias"] = _bits(layer.bias, number)
    return channels, entries


def _requantize(
    layer: Conv, channels: npt.NDArray[Any], bound: npt.NDArray[np.int64], number: type
) -> None:
    shift = layer.shift.astype(np.float64)
    channels["multiplier"] = layer.multiplier
    channels["half"] = np.where(shift > 0, np.exp2(shift - 1), 0.0)
    channels["unit"] = np.exp2(-shift)
    channels["method"] = DEFINITION
    if number is np.float32:
        limits = (layer.output.lo, layer.output.hi)
        found = roundings(layer.multiplier, layer.shift, limits, bound)
        channels["scale"], channels["offset"] = found.scale, found.offset
        channels["method"][found.proven] = ROUND


def _skip(layer: Conv, channels: npt.NDArray[Any], tensor: Layout, number: type) -> None:
    if layer.residual is None:
        return
    first, added = layer.residual.first, tensor.shape[0]
    channels["skip"][first : first + added] = np.arange(added) * tensor.plane
    channels["skip_weight"] = _bits(np.full(len(channels), layer.residual.weight), number)


def _maximum(layer: MaxPool, x: Layout, lowest: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return channel records and entries of a pooling maximum."""
    taps = layer.kernel**2
    row, column = np.divmod(np.arange(taps), layer.kernel)
    channel = np.arange(x.shape[0])
    entries = np.zeros((len(channel), taps), ENTRY)
    entries["offset"] = channel[:, None] * x.plane + row * x.row + column * x.column
    channels = np.zeros(len(channel), CHANNEL)
    channels["begin"], channels["end"] = channel * taps, (channel + 1) * taps
    channels["skip"] = -1
    channels["bias"] = _bits(np.full(len(channel), lowest), np.float32)
    return channels, entries


def _blocks(
    layer: Conv | MaxPool, tensors: dict[str, Layout], variant: Variant, groups: int
) -> npt.NDArray[np.int64]:
    """Return the offsets of the segments of blocks, shape (blocks, segments, fields).

    The last block repeats its last segment until it is full.
    """
    y = tensors["y"]
    rows, columns = _segments(y.shape[1], y.shape[2], variant)
    top, _, left, _ = layer.padding if isinstance(layer, Conv) else (0, 0, 0, 0)
    skip_stride = layer.residual.stride if isinstance(layer, Conv) and layer.residual else 1
    found = np.zeros((groups, len(rows), 3), np.int64)
    for field, (name, stride, origin) in enumerate(
        (("x", layer.stride, (top, left)), ("y", 1, (0, 0)), ("skip", skip_stride, (0, 0)))
    ):
        if name in tensors:
            tensor = tensors[name]
            row = rows * stride + tensor.padding[0] - origin[0]
            column = columns * stride + tensor.padding[2] - origin[1]
            found[:, :, field] = row * tensor.row + column * tensor.column
            found[:, :, field] += np.arange(groups)[:, None] * tensor.group
    flat = found.reshape(-1, 3)
    missing = -len(flat) % variant.segments
    return np.concatenate([flat, np.repeat(flat[-1:], missing, axis=0)])


def _segments(
    height: int, width: int, variant: Variant
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row and first column of all segments; those of a block lie below each other."""
    found: Sequence[tuple[int, int]] = [
        (row, column)
        for top in range(0, height, variant.segments)
        for column in range(0, width, variant.columns)
        for row in range(top, min(height, top + variant.segments))
    ]
    rows, columns = np.array(found, np.int64).T
    return rows, columns

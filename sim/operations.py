"""The operations of a layer: entries, channel records and blocks, as the compiled code reads them.

A convolution over many input channels becomes several operations, one for each share of them. The
activations that a block reads then stay in the first-level cache for all output channels. Sums that
are not finished wait in a part of the arena that all layers share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.stream import channel_order
from sqhw.network.activations import TABLE_INDEX
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim.layout import Layout
from sqhw.sim.plan_layout import CHANNEL, DEFINITION, ENTRY, OP_FIELDS, RAW, ROUND
from sqhw.sim.requantizer import roundings
from sqhw.sim.variants import COLUMNS, LOOKUP, MAXIMUM, SUM, Shape, Variant, variants_of

#: Static bound of sums from which float32 does not hold every integer.
EXACT_FLOATS = 1 << 24
#: Size of the activations of a block, in one operation, that a first-level cache keeps
#: (unit: byte).
WINDOW_BYTES = 24 << 10
#: Least number of entries of an output channel in an operation, on average.
MIN_ENTRIES = 24
#: Alignment of the parts of a plan (unit: byte).
ALIGNMENT = 64


class Content:
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


@dataclass
class LayerWriter:
    """Writes the parts of layers.

    Parameters
    ----------
    network : QuantizedNetwork
    layouts : dict of str to Layout
    offsets : dict of str to int
        Place of each tensor in the arena (unit: byte).
    sums : int
        Place in the arena of sums that are not finished (unit: byte).
    raw : bool
        Whether sums are stored instead of outputs.
    shape : Shape
        Shape of vectors.

    Attributes
    ----------
    sums_bytes : int
        Memory for sums that the layers so far need.
    """

    network: QuantizedNetwork
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    sums: int
    raw: bool
    shape: Shape
    sums_bytes: int = 0

    def write(
        self, layer: Conv | MaxPool, content: Content, groups: int
    ) -> Iterator[dict[str, int]]:
        """Yield the fields of a layer's operations.

        Parameters
        ----------
        layer : Conv or MaxPool
        content : Content
            Gets the parts.
        groups : int
            Number of groups of images on which the operations run at once.
        """
        x, y = self.layouts[layer.source], self.layouts[layer.name]
        columns = next(number for number in COLUMNS if y.shape[2] % number == 0)
        fields = dict.fromkeys(OP_FIELDS, 0)
        fields |= {
            "x": self.offsets[layer.source],
            "y": self.offsets[layer.name],
            "y_plane": y.plane,
            "sums": self.sums,
            "outputs": y.shape[0],
            "segments": y.shape[1] * (y.shape[2] // columns),
            "segment_columns": columns,
        }
        skip = layer.residual if isinstance(layer, Conv) else None
        tensors = {"x": x, "y": y}
        if skip:
            tensors["skip"] = self.layouts[skip.source]
            fields["skip"] = self.offsets[skip.source]
            fields["skip_step"] = skip.stride * tensors["skip"].column
        if groups == 1:
            fields |= {f"{name}_group": tensor.group for name, tensor in tensors.items()}
        form = layer.clamped if isinstance(layer, Conv) else self.network.formats()[layer.name]
        fields |= {"lowest": form.lo, "highest": form.hi}
        operation = MAXIMUM if isinstance(layer, MaxPool) else SUM
        number, variant = _variant(self.shape, operation, layer.strides[1], columns)
        fields["variant"] = number
        fields["block_segments"] = variant.segments
        fields["blocks"] = content.add(_blocks(layer, tensors, variant, groups))
        if isinstance(layer, MaxPool):
            fields["outputs"] = y.pairs
            shares = iter([_maximum(layer, x, form.lo)])
        else:
            count = _shares(layer, x, variant)
            shares = self._sums(layer, tensors, count)
            if count > 1 or self.raw:
                blocks = -(-fields["segments"] * groups // variant.segments)
                fields["sums_plane"] = blocks * variant.vectors * y.column
                self.sums_bytes = max(self.sums_bytes, y.shape[0] * fields["sums_plane"])
        for channels, entries in shares:
            places = {"channels": content.add(channels), "entries": content.add(entries)}
            yield fields | places
        if isinstance(layer, Conv) and layer.table and not self.raw:
            yield _lookup(self.shape, layer, fields, y, content, groups)

    def bound(self, layer: Conv) -> npt.NDArray[np.int64]:
        """Return the static bound of the sums of each output channel."""
        formats = self.network.formats()
        skip = formats[layer.residual.source] if layer.residual else None
        return layer.acc_bound(formats[layer.source], skip)

    def _sums(
        self, layer: Conv, tensors: dict[str, Layout], count: int
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield channel records and entries of each operation of a convolution."""
        x = tensors["x"]
        outputs, entries = _entries(layer, x)
        share = entries["offset"] // x.plane * count // x.pairs
        number = len(layer.weight)
        for at in range(count):
            chosen = share == at
            ends = np.searchsorted(outputs[chosen], np.arange(number + 1))
            channels = np.zeros(number, CHANNEL)
            channels["begin"], channels["end"] = ends[:-1], ends[1:]
            channels["pair"], channels["upper"] = np.divmod(np.arange(number), 2)
            channels["bias"] = layer.bias
            channels["go_on"] = at > 0
            channels["skip"] = -1
            channels["method"] = RAW
            if at > 0:
                channels["bias"] = 0
            if at == count - 1:
                if layer.residual:
                    _skip(layer, channels, tensors["skip"])
                if not self.raw:
                    _requantize(layer, channels, self.bound(layer))
            yield channels, entries[chosen]


def _entries(layer: Conv, x: Layout) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the output channel of each entry of a convolution, ascending, and the entries."""
    flat = channel_order(layer.weight)
    outputs, positions = np.nonzero(flat)
    tap, channel = np.divmod(positions, layer.weight.shape[1])
    channel += outputs // (flat.shape[0] // layer.groups) * layer.weight.shape[1]
    pair, upper = np.divmod(channel, 2)
    row, column = np.divmod(tap, layer.kernel[1])
    offset = pair * x.plane + row * x.row + column * x.column
    weights = _halves(flat[outputs, positions], upper)
    # a channel comes right before the other one of its pair
    new = np.ones(len(offset), np.bool_)
    new[1:] = (offset[1:] != offset[:-1]) | (outputs[1:] != outputs[:-1])
    entries = np.empty(int(new.sum()), ENTRY)
    entries["offset"] = offset[new]
    if len(entries):
        entries["weights"] = np.bitwise_or.reduceat(weights, np.flatnonzero(new))
    return outputs[new], entries


def _variant(shape: Shape, operation: int, stride: int, columns: int) -> tuple[int, Variant]:
    """Return the number of a function, and the function."""
    for number, variant in enumerate(variants_of(shape)):
        if (variant.operation, variant.stride, variant.columns) == (operation, stride, columns):
            return number, variant
    raise AssertionError(f"no function of stride {stride}")


def _shares(layer: Conv, x: Layout, variant: Variant) -> int:
    """Return the number of operations of a convolution."""
    if layer.groups > 1:  # output channels have no activations in common
        return 1
    outputs, channels, kernel_h, kernel_w = layer.weight.shape
    rows = (variant.segments - 1) * layer.strides[0] + kernel_h
    columns = (variant.columns - 1) * layer.strides[1] + kernel_w
    size = channels * rows * columns * x.column
    entries = layer.nonzeros // outputs
    return max(1, min(int(-(-size // WINDOW_BYTES)), int(entries // MIN_ENTRIES), int(channels)))


def _halves(values: npt.NDArray[Any], upper: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return pairs of int16, one of them 0: the other is the upper or the lower one."""
    bits = (values.astype(np.int64) & 0xFFFF) << (16 * upper)
    return bits.astype(np.uint32).view(np.int32)


def _requantize(layer: Conv, channels: npt.NDArray[Any], bound: npt.NDArray[np.int64]) -> None:
    shift = layer.shift.astype(np.float64)
    channels["multiplier"] = layer.multiplier
    channels["half"] = np.where(shift > 0, np.exp2(shift - 1), 0.0)
    channels["unit"] = np.exp2(-shift)
    channels["method"] = DEFINITION
    exact = bound < EXACT_FLOATS
    if exact.any():
        limits = (layer.clamped.lo, layer.clamped.hi)
        found = roundings(layer.multiplier[exact], layer.shift[exact], limits, bound[exact])
        channels["scale"][exact], channels["offset"][exact] = found.scale, found.offset
        channels["method"][np.flatnonzero(exact)[found.proven]] = ROUND


def _skip(layer: Conv, channels: npt.NDArray[Any], tensor: Layout) -> None:
    if layer.residual is None:
        return
    first, added = layer.residual.first, tensor.shape[0]
    pair, upper = np.divmod(np.arange(added), 2)
    chosen = slice(first, first + added)
    channels["skip"][chosen] = pair * tensor.plane
    channels["skip_weights"][chosen] = _halves(np.full(added, layer.residual.weight), upper)


def _maximum(layer: MaxPool, x: Layout, lowest: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return channel records and entries of a pooling maximum."""
    taps = layer.taps
    row, column = np.divmod(np.arange(taps), layer.window[1])
    pair = np.arange(x.pairs)
    entries = np.zeros((len(pair), taps), ENTRY)
    entries["offset"] = pair[:, None] * x.plane + row * x.row + column * x.column
    channels = np.zeros(len(pair), CHANNEL)
    channels["begin"], channels["end"] = pair * taps, (pair + 1) * taps
    channels["pair"] = pair
    channels["bias"] = _halves(np.array(lowest), np.array(0)) | _halves(
        np.array(lowest), np.array(1)
    )
    return channels, entries


def _lookup(
    shape: Shape, layer: Conv, fields: dict[str, int], y: Layout, content: Content, groups: int
) -> dict[str, int]:
    """Return the operation that replaces a layer's outputs by the entries of its table."""
    pair = np.arange(y.pairs)
    entries = np.zeros(len(pair), ENTRY)
    entries["offset"] = pair * y.plane
    channels = np.zeros(len(pair), CHANNEL)
    channels["begin"], channels["end"], channels["pair"] = pair, pair + 1, pair
    number, variant = _variant(shape, LOOKUP, 1, fields["segment_columns"])
    at = content.add(np.array(layer.table, np.int16))
    copied = replace(layer, stride=1, padding=(0, 0, 0, 0), residual=None)
    return fields | {
        "variant": number,
        "x": fields["y"],
        "x_group": fields["y_group"],
        "outputs": y.pairs,
        "blocks": content.add(_blocks(copied, {"x": y, "y": y}, variant, groups)),
        "channels": content.add(channels),
        "entries": content.add(entries),
        "table": at - 2 * TABLE_INDEX.lo,
    }


def _blocks(
    layer: Conv | MaxPool, tensors: dict[str, Layout], variant: Variant, groups: int
) -> npt.NDArray[np.int64]:
    """Return the offsets of the segments of blocks, shape (blocks, segments, fields).

    The last block repeats its last segment until it is full.
    """
    y = tensors["y"]
    rows, columns = _segments(y.shape[1], y.shape[2], variant)
    top, _, left, _ = layer.padding
    skip_stride = layer.residual.stride if isinstance(layer, Conv) and layer.residual else 1
    skip_strides = (skip_stride, skip_stride)
    found = np.zeros((groups, len(rows), 3), np.int64)
    for field, (name, (down, right), origin) in enumerate(
        (
            ("x", layer.strides, (top, left)),
            ("y", (1, 1), (0, 0)),
            ("skip", skip_strides, (0, 0)),
        )
    ):
        if name in tensors:
            tensor = tensors[name]
            row = rows * down + tensor.padding[0] - origin[0]
            column = columns * right + tensor.padding[2] - origin[1]
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

"""The operations of a layer: entries, channel records and blocks, as the compiled code reads them.

A convolution over many input channels becomes several operations, one for each share of them. The
activations that a block reads then stay in the first-level cache for all output channels. Until the
last operation the output holds sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.stream import channel_order
from sqhw.network.graph import MaxPool
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim.emit import COLUMNS, FLOATS, INTEGERS, MAXIMUM, VARIANTS, Variant
from sqhw.sim.layout import Layout
from sqhw.sim.plan_layout import CHANNEL, DEFINITION, ENTRY, OP_FIELDS, RAW, ROUND
from sqhw.sim.requantizer import roundings

#: Static bound from which float32 does not hold every integer.
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
    integers : bool
        Whether sums are int32 also where float32 is exact.
    raw : bool
        Whether sums are stored instead of outputs.
    """

    network: QuantizedNetwork
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    integers: bool
    raw: bool

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
            "outputs": y.shape[0],
            "segments": y.shape[1] * (y.shape[2] // columns),
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
        variant = Variant(self._operation(layer), layer.stride, columns)
        fields["variant"] = VARIANTS.index(variant)
        fields["block_segments"] = variant.segments
        fields["blocks"] = content.add(_blocks(layer, tensors, variant, groups))
        if isinstance(layer, MaxPool):
            shares = iter([_maximum(layer, x, form.lo)])
        else:
            shares = self._sums(layer, tensors, variant)
        for channels, entries in shares:
            places = {"channels": content.add(channels), "entries": content.add(entries)}
            yield fields | places

    def bound(self, layer: Conv) -> npt.NDArray[np.int64]:
        """Return the static bound of the sums of each output channel."""
        formats = self.network.formats()
        skip = formats[layer.residual.source] if layer.residual else None
        return layer.acc_bound(formats[layer.source], skip)

    def _operation(self, layer: Conv | MaxPool) -> int:
        if isinstance(layer, MaxPool):
            return MAXIMUM
        exact = int(self.bound(layer).max()) < EXACT_FLOATS
        return FLOATS if exact and not self.integers else INTEGERS

    def _sums(
        self, layer: Conv, tensors: dict[str, Layout], variant: Variant
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield channel records and entries of each operation of a convolution."""
        x = tensors["x"]
        number = np.float32 if variant.operation == FLOATS else np.int32
        flat = channel_order(layer.weight)
        outputs, positions = np.nonzero(flat)
        in_channels = layer.weight.shape[1]
        tap, channel = np.divmod(positions, in_channels)
        count = _shares(layer, x, variant)
        share = channel * count // in_channels
        channel += outputs // (flat.shape[0] // layer.groups) * in_channels
        row, column = np.divmod(tap, layer.kernel[1])
        offset = channel * x.plane + row * x.row + column * x.column
        weight = _bits(flat[outputs, positions], number)
        for at in range(count):
            chosen = np.flatnonzero(share == at)
            entries = np.empty(len(chosen), ENTRY)
            entries["offset"], entries["weight"] = offset[chosen], weight[chosen]
            ends = np.searchsorted(outputs[chosen], np.arange(flat.shape[0] + 1))
            channels = np.zeros(flat.shape[0], CHANNEL)
            channels["begin"], channels["end"] = ends[:-1], ends[1:]
            channels["bias"] = _bits(layer.bias, number)
            channels["go_on"] = at > 0
            channels["skip"] = -1
            channels["method"] = RAW
            if at == count - 1:
                if layer.residual:
                    _skip(layer, channels, tensors["skip"], number)
                if not self.raw:
                    _requantize(layer, channels, self.bound(layer), number)
            yield channels, entries


def _shares(layer: Conv, x: Layout, variant: Variant) -> int:
    """Return the number of operations of a convolution."""
    if layer.groups > 1:  # output channels have no activations in common
        return 1
    outputs, channels, kernel_h, kernel_w = layer.weight.shape
    rows = (variant.segments - 1) * layer.stride + kernel_h
    columns = (variant.columns - 1) * layer.stride + kernel_w
    size = channels * rows * columns * x.column
    entries = layer.nonzeros // outputs
    return max(1, min(int(-(-size // WINDOW_BYTES)), int(entries // MIN_ENTRIES), int(channels)))


def _bits(values: npt.NDArray[Any], number: type) -> npt.NDArray[np.int32]:
    """Return numbers of a type as the bits of int32."""
    return values.astype(number).view(np.int32)


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

"""The compiler: from a quantized network to the contents of the engine's ROMs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.files.plain import located
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    CODEBOOK_WIDTH,
    COUNT_BITS,
    TABLE_WIDTH,
    descriptor_words,
    pack,
    pack_descriptor,
    record_format,
    record_values,
)
from sqhw.machine.stream import descriptor_fields as stream_fields
from sqhw.machine.stream import words_of
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.planner.placement import Tiling, Write, place


@dataclass(frozen=True)
class RomImage:
    """The content of one ROM.

    Parameters
    ----------
    name : str
        ``weights``, ``params`` or ``codebook``.
    width : int
        Word width (unit: bit).
    words : tuple of int
        Unsigned words from address 0 on.
    """

    name: str
    width: int
    words: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of words."""
        return len(self.words)

    @property
    def bits(self) -> int:
        """Size (unit: bit)."""
        return self.depth * self.width


@dataclass(frozen=True)
class Program:
    """A network compiled for an engine.

    Parameters
    ----------
    engine : EngineConfig
    network : QuantizedNetwork
    tilings : tuple of Tiling
        Memory plan and tiles of each layer.
    images : tuple of RomImage
        Weight, parameter and codebook ROM.
    batch : int
        Images of a run.
    """

    engine: EngineConfig
    network: QuantizedNetwork
    tilings: tuple[Tiling[Conv], ...]
    images: tuple[RomImage, ...]
    batch: int = 1

    @property
    def rom_bits(self) -> int:
        """Bits in the exported images."""
        return sum(image.bits for image in self.images)

    @property
    def depths(self) -> dict[str, int]:
        """Words of each ROM by name."""
        return {image.name: image.depth for image in self.images}

    def padded(self, depths: Mapping[str, int]) -> "Program":
        """Return the program with its ROM images filled up with zeros.

        Parameters
        ----------
        depths : mapping of str to int
            Words of each ROM by name, as many as its image has or more.
        """
        images = tuple(
            replace(image, words=image.words + (0,) * (depths[image.name] - image.depth))
            for image in self.images
        )
        return replace(self, images=images)

    def image(self, name: str) -> RomImage:
        """Return the image of that name."""
        return next(image for image in self.images if image.name == name)


def compile_network(network: QuantizedNetwork, engine: EngineConfig, batch: int = 1) -> Program:
    """Compile a network for an engine.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
    batch : int, power of two, 1 to engine.max_batch
        Images of a run.

    Raises
    ------
    SqhwError
        If a layer exceeds the engine; the message names the layer, the found value and the limit.
    """
    tilings = place(network, engine, batch)
    formats = network.formats()
    bounds = network.acc_bounds()
    weights: list[int] = []
    codebook: list[int] = []
    records: list[int] = []
    records_at = descriptor_words(engine) * len(network.layers)
    tables: list[dict[str, int]] = []
    for tiling in tilings:
        layer = tiling.layer
        source = formats[layer.source]
        fields = _geometry(tiling, engine) | _residual(tiling, engine)
        fields |= {name: 0 for name, _ in stream_fields(engine)}
        fields["last"] = int(layer is network.layers[-1])
        fields["in_signed"] = int(source.signed)
        if isinstance(layer, Conv) and layer.residual:
            fields["skip_signed"] = int(formats[layer.residual.source].signed)
        clamped = layer.clamped if isinstance(layer, Conv) else formats[layer.name]
        fields["clamp_lo"], fields["clamp_hi"] = clamped.lo, clamped.hi
        fields["weight_addr"] = 0
        fields["codebook_addr"] = len(codebook) if isinstance(layer, Conv) else 0
        fields["param_addr"] = records_at + len(records)
        channels = tiling.target.shape[0]
        if isinstance(layer, Conv):
            _check_engine(layer, bounds[layer.name], engine)
            entries = layer.stream.encode(layer.weight, layer.codebook)
            counts = entries.counts.astype(np.int64)
            bias, multiplier, shift = layer.bias, layer.multiplier, layer.shift
            fields |= layer.stream.descriptor
            strings = layer.stream.written(entries)
            for address, string in zip(layer.stream.STRINGS, strings, strict=True):
                # A string without bits has no address, because it might lie beyond a full ROM.
                fields[address] = len(weights) if len(string) else 0
                weights += words_of(string, engine.word_bits)
            codebook += [value & 0xFF for value in layer.codebook]
        else:
            counts = np.full(channels, layer.taps, dtype=np.int64)
            bias = shift = np.zeros(channels, dtype=np.int64)
            multiplier = np.ones(channels, dtype=np.int64)
        most = int(counts.max()) + fields["skip"]  # the sequencer counts the residual's entry too
        if most >= 1 << COUNT_BITS:
            raise SqhwError(
                f"layer {layer.name!r}: a channel has {most} stream entries, "
                f"at most {(1 << COUNT_BITS) - 1} fit a record"
            )
        records += _records(layer.name, fields, counts, bias, multiplier, shift, engine)
        if engine.tables:
            fields["table"] = int(isinstance(layer, Conv) and layer.has_table)
            fields["table_addr"] = records_at + len(records) if fields["table"] else 0
        if isinstance(layer, Conv) and layer.table:
            records += _table(layer, engine)
        tables.append(fields)
    for rom, field, words in (
        ("weight", "weight_addr_bits", len(weights)),
        ("parameter", "param_addr_bits", records_at + len(records)),
        ("codebook", "codebook_addr_bits", len(codebook)),
    ):
        limit = 1 << getattr(engine, field)
        if words > limit:
            raise SqhwError(
                f"network {network.name!r}: the {rom} ROM needs {words} words, {words - limit} "
                f"more than the {limit} that the engine addresses; take a larger device "
                f"(--device), or raise {field} of the engine to {(words - 1).bit_length()}"
            )
    descriptors = [word for fields in tables for word in pack_descriptor(fields, engine)]
    images = (
        RomImage("weights", engine.word_bits, tuple(weights or [0])),
        RomImage("params", engine.word_bits, tuple(descriptors + records)),
        RomImage("codebook", CODEBOOK_WIDTH, tuple(codebook or [0])),
    )
    return Program(engine, network, tilings, images, batch)


def _check_engine(layer: Conv, bound: int, engine: EngineConfig) -> None:
    where = f"layer {layer.name!r}"
    if bound >= 1 << (engine.acc_bits - 1):
        need = bound.bit_length() + 1
        raise SqhwError(
            f"{where}: its accumulator may reach {bound}, which needs {need} bits, but the "
            f"engine's accumulators have {engine.acc_bits}; raise acc_bits to {need} or compress "
            "the layer further"
        )
    if layer.multiplier.max() >= 1 << engine.mult_bits:
        raise SqhwError(
            f"{where}: requantization multiplier {layer.multiplier.max()} exceeds the engine's "
            f"{engine.mult_bits} bits; raise mult_bits"
        )
    with located(where):
        layer.stream.check_engine(engine, layer.weight.shape[1], layer.kernel[1])


def _geometry(tiling: Tiling[Conv], engine: EngineConfig) -> dict[str, int]:
    """Return the descriptor fields that follow from the memory plan and the kernel."""
    layer, source, target = tiling.layer, tiling.source, tiling.target
    lanes, depth, batch = engine.lanes, engine.bank_depth, source.batch
    channels, height, width = source.shape
    out_channels, out_height, out_width = target.shape
    top, _, left, _ = layer.padding
    kernel_w = layer.kernel[1] if isinstance(layer, Conv) else layer.window[1]
    groups = layer.groups if isinstance(layer, Conv) else channels
    phase_y, phase_x = -top % source.split, -left % source.split
    start = ((-top // source.split) * source.pitch + (-left // source.split)) * batch
    phase = 2 * phase_y + phase_x
    fields = {
        "pool": int(not isinstance(layer, Conv)),
        "in_channels": channels,
        "in_split": source.split - 1,
        "in_phase_rows": source.phase_rows if source.split == 2 else 0,
        "in_pitch_rows": source.pitch * batch // lanes * channels % depth,
        "in_pitch_lane": source.pitch * batch % lanes,
        "in_last_x": width - 1,
        "in_last_y": height - 1,
        "start_row": (source.base + phase * source.phase_rows + start // lanes * channels) % depth,
        "start_lane": start % lanes,
        "start_phase_x": phase_x,
        "start_phase_y": phase_y,
        "start_dx": -left,
        "start_dy": -top,
        "last_dx": kernel_w - 1 - left,
        "pitch_last_x": tiling.pitch - 1,
        "batch_shift": batch.bit_length() - 1,
        "last_tile": tiling.tiles - 1,
        "last_channel": out_channels - 1,
        "group_channels": channels // groups,
        "group_last": out_channels // groups - 1,
        "out_walk": int(tiling.write is not Write.AS_COMPUTED),
        "out_serial": int(tiling.serial),
        "out_base": target.base,
        "out_channels": out_channels,
        "out_split": target.split - 1,
        "out_phase_rows": target.phase_rows if target.split == 2 else 0,
        "out_pitch_rows": target.pitch * batch // lanes * out_channels % depth,
        "out_pitch_lane": target.pitch * batch % lanes,
        "out_last_x": out_width - 1,
        "out_last_y": out_height - 1,
    }
    return fields | _in_phases(tiling, engine) if tiling.phased else fields


def _in_phases(tiling: Tiling[Conv], engine: EngineConfig) -> dict[str, int]:
    """Return the fields of a layer that computes four phases one after another.

    To the engine they are one whole map as wide as coordinates go, all of whose positions count.
    """
    side, batch, channels = 1 << engine.dim_bits, tiling.target.batch, tiling.target.shape[0]
    ends = ("in_last_x", "in_last_y", "pitch_last_x", "out_last_x", "out_last_y")
    whole = ("in_split", "in_phase_rows", "start_phase_x", "start_phase_y")
    return dict.fromkeys((*whole, "out_split", "out_phase_rows"), 0) | {
        **dict.fromkeys(ends, side - 1),
        "start_row": tiling.source.base,
        "start_lane": 0,
        "out_pitch_rows": side * batch // engine.lanes * channels % engine.bank_depth,
        "out_pitch_lane": side * batch % engine.lanes,
    }


def _residual(tiling: Tiling[Conv], engine: EngineConfig) -> dict[str, int]:
    """Return the descriptor fields of the skip connection."""
    layer = tiling.layer
    names = ("skip", "skip_signed", "skip_weight", "skip_row", "skip_channels", "skip_first")
    fields = dict.fromkeys((*names, "skip_last"), 0)
    if isinstance(layer, Conv) and layer.residual and tiling.skip:
        channels, first = tiling.skip.shape[0], layer.residual.first
        fields |= {
            "skip": 1,
            "skip_weight": layer.residual.weight,
            "skip_row": (tiling.skip.base - first) % engine.bank_depth,
            "skip_channels": channels,
            "skip_first": first,
            "skip_last": first + channels - 1,
        }
    return fields


def _table(layer: Conv, engine: EngineConfig) -> list[int]:
    """Return the packed table of a layer, in the order of unsigned bytes of its index."""
    mask, half = (1 << TABLE_WIDTH) - 1, len(layer.table) // 2
    values = [value & mask for value in (*layer.table[half:], *layer.table[:half])]
    return pack(values, [TABLE_WIDTH] * len(values), engine.word_bits)


def _records(
    name: str,
    fields: dict[str, int],
    counts: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    multiplier: npt.NDArray[Any],
    shift: npt.NDArray[Any],
    engine: EngineConfig,
) -> list[int]:
    """Return the packed channel records; their format goes into `fields`."""
    form = record_format(counts, bias, multiplier, shift, engine.word_bits)
    count, low, high, mult, right = form.widths
    if max(form.widths) > engine.word_bits:
        raise SqhwError(
            f"layer {name!r}: a record field of {max(form.widths)} bits (the entry counts of its "
            f"channels differ by {counts.max() - counts.min()}) exceeds the ROM word of "
            f"{engine.word_bits}; raise word_bits"
        )
    fields |= {
        "count_base": form.count_base,
        "count_width": count,
        "bias_lo_width": low,
        "bias_hi_width": high,
        "bias_shift": form.bias_shift,
        "multiplier_base": form.multiplier_base,
        "multiplier_width": mult,
        "shift_base": form.shift_base,
        "shift_width": right,
    }
    values = record_values(form, counts, bias, multiplier, shift)
    return pack(values.reshape(-1).tolist(), list(form.widths) * len(values), engine.word_bits)

"""ROM costs of a network on the four size bases, without building an image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.cost_models.best_rom import RomPlan, rom_plan
from sqhw.cost_models.device import Device
from sqhw.cost_models.memory import map_ram
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    CODEBOOK_WIDTH,
    descriptor_words,
    record_format,
    rom_widths,
    table_words,
)
from sqhw.machine.rom_pieces import Piece, whole
from sqhw.machine.stream import Places
from sqhw.machine.timing import rom_cycles
from sqhw.network.graph import Graph, MaxPool
from sqhw.network.stored import StoredConv


@dataclass(frozen=True)
class LayerRom:
    """ROM content of one layer (unit: bit unless stated).

    Parameters
    ----------
    name : str
        Name of the layer.
    payload : int
        Non-zero weights times code bits, the figure of papers.
    positions : int
        Gap fields, quotients and fillers, or the zero codes of a dense stream.
    codebook : int
        Codebook entries times 8.
    records : int
        Channel records: entry counts, biases, requantization constants.
    descriptor : int
        The layer's row of the layer table.
    weight_words, param_words : int
        Words of the weight and of the parameter ROM, the table of an activation function included.
    """

    name: str
    payload: int
    positions: int
    codebook: int
    records: int
    descriptor: int
    weight_words: int
    param_words: int

    @property
    def stream(self) -> int:
        """Payload, positions and codebook (unit: bit)."""
        return self.payload + self.positions + self.codebook


@dataclass(frozen=True)
class RomCost:
    """ROM content of a network.

    Parameters
    ----------
    layers : tuple of LayerRom
        In execution order.
    memories : tuple of (str, int, int)
        Name, depth (words) and width (bits) of each ROM image.
    engine : EngineConfig
    """

    layers: tuple[LayerRom, ...]
    memories: tuple[tuple[str, int, int], ...]
    engine: EngineConfig

    @property
    def payload(self) -> int:
        """Non-zeros times code bits (unit: bit)."""
        return sum(layer.payload for layer in self.layers)

    @property
    def stream(self) -> int:
        """Payload, positions and codebooks (unit: bit)."""
        return sum(layer.stream for layer in self.layers)

    @property
    def rom(self) -> int:
        """Everything that is exported, padded to memory words (unit: bit)."""
        return sum(depth * width for _, depth, width in self.memories)

    def blocks(self, device: Device) -> int:
        """Return the block RAM primitives that the ROMs occupy on `device`."""
        return sum(rom_blocks(name, depth, self.engine, device) for name, depth, _ in self.memories)

    def size(self, basis: str, device: Device) -> int:
        """Return the size on one of the bases ``payload``, ``stream``, ``rom``, ``blocks``."""
        if basis == "blocks":
            return self.blocks(device)
        return int(getattr(self, basis))


def rom_blocks(name: str, depth: int, engine: EngineConfig, device: Device) -> int:
    """Return the block RAMs of one ROM of an engine; 0 if synthesis makes it of LUTs.

    Parameters
    ----------
    name : {"weights", "params", "codebook"}
    depth : int
        Words, 1 or more.
    engine : EngineConfig
    device : Device
    """
    width = rom_widths(engine)[name]
    if engine.writable:
        return map_ram(depth, width, device).blocks
    return rom_plan(depth, width, device, registered=rom_cycles(engine, name) > 1).blocks


def rom_pieces(
    engine: EngineConfig, depths: Mapping[str, int], device: Device | None
) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of an engine's ROMs, in Verilog and ROM images.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of each ROM by name.
    device : Device or None
        Device. Where it is not known, and where the ROMs can be written, each ROM is one piece.
    """
    if device is None or engine.writable:
        widths = rom_widths(engine)
        return {name: whole(depth, widths[name]) for name, depth in depths.items()}
    return {name: plan.cuts for name, plan in rom_plans(engine, depths, device).items()}


def rom_plans(
    engine: EngineConfig, depths: Mapping[str, int], device: Device
) -> dict[str, RomPlan]:
    """Return how an engine's ROMs, if they cannot be written, are built on a device.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of each ROM by name.
    device : Device
    """
    widths = rom_widths(engine)
    return {
        name: rom_plan(depth, widths[name], device, registered=rom_cycles(engine, name) > 1)
        for name, depth in depths.items()
    }


def entry_counts(layer: StoredConv) -> npt.NDArray[np.int64]:
    """Return the stream entries of every output channel, shape (out_channels,)."""
    return layer.stream.counts(Places.of(layer.weight))


def pool_counts(channels: int, taps: int) -> npt.NDArray[np.int64]:
    """Return the cycles of work of every channel of a pooling layer, shape (channels,)."""
    return np.full(channels, taps, dtype=np.int64)


def rom_cost(network: Graph[StoredConv], engine: EngineConfig) -> RomCost:
    """Return the exact ROM content of a network on an engine.

    Parameters
    ----------
    network : Graph of StoredConv
        Quantized network, or network of masks.
    engine : EngineConfig

    Returns
    -------
    RomCost
        Content, of which ``rom`` equals the bits of the exported images.
    """
    word = engine.word_bits
    layers = []
    for layer in network.layers:
        if not isinstance(layer, MaxPool):
            places = Places.of(layer.weight)
            counts = layer.stream.counts(places)
            form = record_format(counts, layer.bias, layer.multiplier, layer.shift, word)
            records = form.bits * len(counts)
            sizes = layer.stream.sizes(places)
            payload = layer.nonzeros * layer.stream.code_bits
            codebook = CODEBOOK_WIDTH * layer.codebook_size
            table = layer.has_table * table_words(engine)
        else:
            records = payload = codebook = table = 0
            sizes = ()
        layers.append(
            LayerRom(
                name=layer.name,
                payload=payload,
                positions=sum(sizes) - payload,
                codebook=codebook,
                records=records,
                descriptor=descriptor_words(engine) * word,
                weight_words=sum(-(-size // word) for size in sizes),
                param_words=descriptor_words(engine) - (-records // word) + table,
            )
        )
    return RomCost(
        tuple(layers),
        (
            ("weights", max(1, sum(layer.weight_words for layer in layers)), word),
            ("params", sum(layer.param_words for layer in layers), word),
            (
                "codebook",
                max(1, sum(layer.codebook for layer in layers) // CODEBOOK_WIDTH),
                CODEBOOK_WIDTH,
            ),
        ),
        engine,
    )

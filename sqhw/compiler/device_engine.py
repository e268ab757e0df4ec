"""The engine that suits a device and a network's feature maps, and the memory left for weights."""

from dataclasses import replace
from typing import Any

from sqhw.cost_models.banks import (
    bank_blocks,
    check_banks,
    lacking_blocks,
    single_port_ram,
    table_blocks,
)
from sqhw.cost_models.device import Device
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import descriptor_words, table_words
from sqhw.network.graph import Graph, GraphConv
from sqhw.network.quantized import QuantizedNetwork
from sqhw.planner.bank_plan import assign_rows, peak_rows
from sqhw.planner.placement import network_maps

#: Largest number of lanes without DSP blocks. These multiply in LUTs; more would crowd small parts.
LUT_LANES = 8
MAX_LANES = 32
#: Requantizers of an engine with many lanes, because short channels would wait for a single one.
REQUANTIZERS = 4
MANY_LANES = 16
#: Kernel taps an entry of such an engine, as a second tap is a small part of its logic.
TAPS_PER_ENTRY = 2
#: Words of the parameter ROM that a channel takes at most, as far as addresses go.
RECORD_WORDS = 3


def engine_for(
    device: Device,
    network: Graph[GraphConv],
    levels: int = 32,
    max_batch: int = 1,
    acc_bits: int = EngineConfig.acc_bits,
    bank_ram: str | None = None,
    quotient_ones: int = 0,
) -> EngineConfig:
    """Return a configuration for a device: one lane a DSP block, ROM words as wide as a block RAM.

    With banks of a single port there are as many lanes as banks fit the device's RAM for them.

    Parameters
    ----------
    device : Device
    network : Graph
        A float network with its input stage, or a quantized one.
    levels : int
        Largest number of distinct weights of a layer.
    max_batch : int, power of two
        Largest number of images of a run, all of which fit the banks.
    acc_bits : int, 16 to 32
        Width of the accumulators; see `sqhw.compiler.accumulator.proposed_acc_bits`.
    bank_ram : {"block", "single-port"}, optional
        RAM of the activation banks; by default block RAM, unless that leaves none for weights and
        the device has single-port RAM in which the banks fit.
    quotient_ones : int, 0 to 8
        Most ones of a quotient in Golomb-Rice streams; with 0 the engine has no decoder for them.

    Raises
    ------
    SqhwError
        If `max_batch` is out of range, the activation banks alone would exceed the device's block
        RAMs or its single-port RAM, or layers of different strides read the same map.
    """
    engine = propose_engine(device, network, levels, max_batch, acc_bits, bank_ram, quotient_ones)
    check_banks(engine, device)
    banks = activation_blocks(engine, device)
    if banks >= device.brams:
        rows = peak_rows(network, network_maps(network, engine.lanes, max_batch))
        raise SqhwError(
            f"{device.name} has {device.brams} block RAMs, but the feature maps need {banks} "
            f"({rows} rows in each of {engine.lanes} activation banks), which leaves none for "
            "weights; take a larger device"
        )
    return engine


def propose_engine(
    device: Device,
    network: Graph[GraphConv],
    levels: int = 32,
    max_batch: int = 1,
    acc_bits: int = EngineConfig.acc_bits,
    bank_ram: str | None = None,
    quotient_ones: int = 0,
) -> EngineConfig:
    """Return the configuration of `engine_for`, whether or not the device has the memory for it.

    Raises
    ------
    SqhwError
        If `max_batch` is out of range, layers of different strides read the same map, or the maps
        exceed every engine.
    """
    lanes = LUT_LANES
    while lanes * 2 <= min(device.dsps, MAX_LANES):
        lanes *= 2
    if max_batch < 1 or max_batch & (max_batch - 1) or max_batch > lanes:
        raise SqhwError(f"max_batch must be a power of two, 1 to {lanes}, not {max_batch}")
    word_bits = next(width for _, width in device.bram.modes if width >= 16)

    def fitted(lanes: int, bank_ram: str) -> EngineConfig:
        return fitted_engine(
            device,
            network,
            lanes=lanes,
            word_bits=word_bits,
            taps_per_entry=TAPS_PER_ENTRY if lanes >= MANY_LANES else 1,
            requantizers=REQUANTIZERS if lanes >= MANY_LANES else 1,
            max_batch=max_batch,
            levels=levels,
            acc_bits=acc_bits,
            bank_ram=bank_ram,
            quotient_ones=quotient_ones,
        )

    if bank_ram == "single-port":
        return fitted(_single_port_lanes(device, lanes), bank_ram)
    engine = fitted(lanes, "block")
    fewer = _single_port_lanes(device, lanes)
    if bank_ram or activation_blocks(engine, device) < device.brams or max_batch > fewer:
        return engine
    other = fitted(fewer, "single-port") if single_port_ram(device) else engine
    return engine if lacking_blocks(other, device) else other


def _single_port_lanes(device: Device, most: int) -> int:
    """Return the largest number of lanes, 2 at least, with a block of single-port RAM for each."""
    ram = single_port_ram(device)
    there = device.block_count(ram.name) if ram else most
    lanes = 2
    while lanes * 2 <= min(there, most):
        lanes *= 2
    return lanes


def fitted_engine(
    device: Device, network: Graph[GraphConv], *, levels: int = 32, **choices: Any
) -> EngineConfig:
    """Return an engine of given lanes and the like whose memories suit a network.

    Parameters
    ----------
    device : Device
        Device, whose block RAMs bound the depths of weight ROM and banks.
    network : Graph
    levels : int
        Largest number of distinct weights of a layer.
    **choices : int
        Fields of `EngineConfig`: ``lanes``, ``word_bits`` and ``max_batch`` at least, and any that
        neither follow from the network nor from the device.

    Raises
    ------
    SqhwError
        If layers of different strides read the same map, or the maps exceed every engine.
    """
    lanes, max_batch = choices["lanes"], choices["max_batch"]
    byte_depth = next(depth for depth, width in device.bram.modes if width >= 8)
    rom_bits = device.brams * max(depth * width for depth, width in device.bram.modes)
    shapes = network.shapes().values()
    largest = max(max(height, width) for _, height, width in shapes)
    maps = network_maps(network, lanes, max_batch)
    rows = max(peak_rows(network, maps), 1 + max(channels for channels, _, _ in shapes))
    depth = max(byte_depth, 1 << (rows - 1).bit_length())
    try:
        assign_rows(network, maps, depth)
    except SqhwError:  # the rows are enough, but not in one piece
        depth *= 2
    fields = choices | {
        "bank_depth": depth,
        "dim_bits": max(EngineConfig.dim_bits, largest.bit_length()),
        "weight_addr_bits": (rom_bits // choices["word_bits"] - 1).bit_length(),
        "codebook_addr_bits": _at_least(
            EngineConfig.codebook_addr_bits, levels * len(network.convs)
        ),
        "mult_bits": _mult_bits(network),
        "groups": any(layer.groups > 1 for layer in network.convs),
        "residuals": any(layer.residual is not None for layer in network.convs),
        "maxpool": any(layer.kind == "maxpool" for layer in network.layers),
        "tables": any(layer.has_table for layer in network.convs),
    }
    records = RECORD_WORDS * sum(channels for channels, _, _ in shapes)
    try:
        engine = EngineConfig(**fields)
        words = records + descriptor_words(engine) * len(network.layers)
        words += table_words(engine) * sum(layer.has_table for layer in network.convs)
        return replace(engine, param_addr_bits=_at_least(engine.param_addr_bits, words))
    except ValueError as error:
        raise SqhwError(f"network {network.name!r} on {lanes} lanes: {error}") from None


def _mult_bits(network: Graph[GraphConv]) -> int:
    """Return the bits of the widest multiplier; imported networks have wider ones than trained."""
    widest = 0
    if isinstance(network, QuantizedNetwork):
        widest = max((int(layer.multiplier.max()) for layer in network.convs), default=0)
    return max(EngineConfig.mult_bits, widest.bit_length())


def _at_least(bits: int, words: int) -> int:
    return max(bits, (words - 1).bit_length())


def activation_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the block RAMs of the activation banks, and of the tables of activation functions.

    Banks of single-port RAM take none.

    Raises
    ------
    SqhwError
        If they have a single port and the device has no RAM for them.
    """
    blocks = bank_blocks(engine, device)
    return 0 if engine.single_port else blocks + table_blocks(engine, device)


def dsp_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the DSP blocks of the lanes: one each, but for those that multiply in LUTs.

    yosys puts a product of 9 by 8 bits alone into a block, on every device that has some.
    """
    return engine.lanes - engine.lut_lanes if device.dsps else 0


def weight_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the block RAMs that the activation banks leave for the ROMs."""
    return device.brams - activation_blocks(engine, device)

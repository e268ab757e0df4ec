"""The engine that suits a device and a chain of feature maps, and what it leaves for weights."""

from collections.abc import Sequence

from sqhw.cost_models.device import Device
from sqhw.cost_models.memory import map_ram
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.network import Shape
from sqhw.placement import rows_needed

#: Without DSP blocks the lanes multiply in LUTs; more of them than these would crowd small parts.
LUT_LANES = 8
MAX_LANES = 32


def engine_for(device: Device, shapes: Sequence[Shape], strides: Sequence[int]) -> EngineConfig:
    """Return a configuration for a device: a lane a DSP block, ROM words as wide as a block RAM's.

    Parameters
    ----------
    device : Device
    shapes : sequence of tuple (channels, height, width)
        The network's input and the output of every layer.
    strides : sequence of int
        Of every layer.

    Raises
    ------
    SqhwError
        If the activation banks alone would exceed the device's block RAMs.
    """
    lanes = LUT_LANES
    while lanes * 2 <= min(device.dsps, MAX_LANES):
        lanes *= 2
    modes = device.bram.modes
    byte_depth = next(depth for depth, width in modes if width >= 8)
    word_depth, word_bits = next((depth, width) for depth, width in modes if width >= 16)
    rows = rows_needed(shapes, strides, lanes)
    largest = max(max(height, width) for _, height, width in shapes)
    engine = EngineConfig(
        lanes=lanes,
        bank_depth=max(byte_depth, 1 << (rows - 1).bit_length()),
        dim_bits=max(EngineConfig.dim_bits, largest.bit_length()),
        word_bits=word_bits,
        weight_addr_bits=(device.brams * word_depth - 1).bit_length(),
    )
    banks = activation_blocks(engine, device)
    if banks >= device.brams:
        raise SqhwError(
            f"{device.name} has {device.brams} block RAMs, but the feature maps need {banks} "
            f"({rows} rows in each of {lanes} activation banks), which leaves none for weights; "
            "take a larger device"
        )
    return engine


def activation_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the block RAMs of the activation banks."""
    return engine.lanes * map_ram(engine.bank_depth, 8, device).blocks


def dsp_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the DSP blocks of the lanes: one each, but for those that multiply in LUTs.

    yosys puts a product of 9 by 8 bits alone into a block, on every device that has some.
    """
    return engine.lanes - engine.lut_lanes if device.dsps else 0


def weight_blocks(engine: EngineConfig, device: Device) -> int:
    """Return the block RAMs that the activation banks leave for the ROMs."""
    return device.brams - activation_blocks(engine, device)

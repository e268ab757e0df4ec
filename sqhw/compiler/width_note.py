"""Note of a network on the extra logic of accumulators that are wider than usual."""

from dataclasses import replace

from sqhw.compiler.accumulator import signed_bits
from sqhw.cost_models.device import Device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork


def with_width_note(
    network: QuantizedNetwork, engine: EngineConfig, device: Device
) -> QuantizedNetwork:
    """Return the network with a note on the logic that wide accumulators add on the device."""
    usual = EngineConfig.acc_bits
    if engine.acc_bits <= usual:
        return network
    bounds = network.acc_bounds()
    name = max(bounds, key=lambda name: bounds[name])
    note = (
        f"accumulators have {engine.acc_bits} bits instead of {usual}, of which layer {name!r} "
        f"needs {signed_bits(bounds[name])}"
    )
    depths = {memory: depth for memory, depth, _ in rom_cost(network, engine).memories}
    try:
        wide, narrow = (
            engine_cost(replace(engine, acc_bits=bits), device, depths)
            for bits in (engine.acc_bits, usual)
        )
    except SqhwError:  # a family whose logic is not calibrated
        pass
    else:
        note += (
            f": {(wide.luts - narrow.luts) / engine.lanes:.0f} LUTs and "
            f"{(wide.ffs - narrow.ffs) / engine.lanes:.0f} flip-flops a lane, by the cost model"
        )
    notes = "\n".join(filter(None, (network.facts.notes, note)))
    return replace(network, metadata=network.metadata | {"notes": notes})

"""A compressed network for another engine: the same integers, streams chosen anew."""

import json
from dataclasses import replace

from sqhw.compiler.accumulator import needed_acc_bits
from sqhw.compiler.device_engine import engine_for
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.cost_models.device import Device
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork


def retargeted(
    network: QuantizedNetwork,
    device: Device,
    *,
    max_batch: int = 1,
    bank_ram: str | None = None,
    quotient_ones: int = 0,
) -> QuantizedNetwork:
    """Return a network with the engine that suits a device, and the cheapest streams for it.

    The integers stay, and so do all activations.

    Parameters
    ----------
    network : QuantizedNetwork
    device : Device
    max_batch, bank_ram, quotient_ones
        See `sqhw.compiler.device_engine.engine_for`.

    Raises
    ------
    SqhwError
        As `engine_for` does.
    """
    levels = max((layer.levels for layer in network.convs), default=1)
    engine = engine_for(
        device,
        network,
        levels,
        max_batch,
        max(EngineConfig.acc_bits, needed_acc_bits(network)),
        bank_ram,
        quotient_ones,
    )
    label = {"engine": json.dumps(engine.to_dict()), "device": device.name}
    network = cheapest_streams(network, engine)
    return replace(network, metadata=network.metadata | label)

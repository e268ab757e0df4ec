"""The size of a quantized network on every basis, before and after compression."""

from sqhw.compiler.device_engine import activation_blocks, weight_blocks
from sqhw.cost_models.banks import single_port_use
from sqhw.cost_models.budget import BASES
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device
from sqhw.cost_models.rom import rom_cost
from sqhw.machine.config import EngineConfig
from sqhw.network.facts import FLOAT_BITS
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.results import NetworkSize


def network_size(network: QuantizedNetwork, engine: EngineConfig, device: Device) -> NetworkSize:
    """Return the network's size on the four bases, before and after compression.

    The sizes before are those of 32-bit floats, and of dense 8-bit weights with 32-bit biases. They
    are the weights alone on the bases payload and stream, and include the biases on rom and blocks.
    """
    cost = rom_cost(network, engine)
    facts = network.facts
    values = facts.values_before or 0
    weights = values if facts.weights_before is None else facts.weights_before
    single_port = single_port_use(engine, device)
    found: NetworkSize = {
        "device": device.name,
        "after": {basis: cost.size(basis, device) for basis in BASES},
        "float32": dense_sizes(weights, values - weights, FLOAT_BITS, device),
        "int8": dense_sizes(weights, values - weights, 8, device),
        "weights_before": weights,
        # The entries of an average pooling have no bits: they are constants and no weights.
        "nonzeros": sum(layer.nonzeros for layer in network.convs if layer.has_stream),
        "activation_blocks": activation_blocks(engine, device),
        "available_blocks": weight_blocks(engine, device),
        "device_blocks": device.brams,
        "layers": [
            {
                "name": layer.name,
                "weights": int(layer.weight.size),
                "nonzeros": layer.nonzeros,
                "stream": str(layer.stream),
                "rom_bits": rom.weight_words * engine.word_bits
                + rom.param_words * engine.word_bits
                + rom.codebook,
            }
            for rom in cost.layers
            for layer in network.convs
            if layer.name == rom.name
        ],
    }
    if single_port is not None:
        found["single_port"] = single_port
    return found

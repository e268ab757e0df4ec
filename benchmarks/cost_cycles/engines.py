"""The engines that run random networks, and the networks they run."""

from collections.abc import Iterator
from itertools import count

from sqhw.compiler.program import Program, compile_network
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork
from tests.strategies import random_network, reads_with_one_stride

#: Parameters besides the lanes: small ROMs, so that every address bit is soon used.
_SMALL = {"bank_depth": 1024, "weight_addr_bits": 13, "param_addr_bits": 11}
#: Engines by name, each with the limits of its networks (`tests.strategies.Limits`).
ENGINES = {
    "2 lanes, chains only": (
        EngineConfig(lanes=2, **_SMALL),
        {"groups": False, "residuals": False},
    ),
    "4 lanes, 2 requantizers, everything": (
        EngineConfig(
            lanes=4, word_bits=18, mult_bits=12, acc_bits=22, taps_per_entry=2, requantizers=2,
            max_batch=2, groups=True, residuals=True, **_SMALL,
        ),
        {
            "mult_bits": 12, "acc_bits": 22, "taps_per_entry": 2, "widths": (5, 7, 8),
            "whole": 4, "branches": True,
        },
    ),
    "8 lanes, skips": (
        EngineConfig(lanes=8, residuals=True, **_SMALL),
        {"groups": False, "max_kernel": 1, "max_padding": 0, "branches": True, "max_layers": 6},
    ),
    "8 lanes, dense, batches": (
        EngineConfig(
            lanes=8, max_gap_bits=0, requantizers=4, max_batch=4, groups=True, maxpool=False,
            **_SMALL,
        ),
        {"max_gap_bits": 0, "residuals": False, "maxpool": False},
    ),
    "16 lanes, 4 requantizers, everything": (
        EngineConfig(
            lanes=16, word_bits=18, mult_bits=12, acc_bits=26, taps_per_entry=2, requantizers=4,
            max_batch=4, groups=True, residuals=True, **_SMALL | {"bank_depth": 4096},
        ),
        {
            "mult_bits": 12, "acc_bits": 26, "taps_per_entry": 2, "max_size": 17,
            "max_channels": 9, "widths": (5, 8, 15, 16), "whole": 8, "branches": True,
        },
    ),
}  # fmt: skip


def programs(name: str, number: int) -> Iterator[tuple[int, Program]]:
    """Yield `number` random networks compiled for an engine, with their seeds and all batches."""
    engine, limits = ENGINES[name]
    found = 0
    for seed in count():
        network: QuantizedNetwork = random_network(seed, **limits)
        if not reads_with_one_stride(network):
            continue
        if found == number:
            return
        yield seed, compile_network(network, engine, 1 << found % (engine.batch_bits + 1))
        found += 1

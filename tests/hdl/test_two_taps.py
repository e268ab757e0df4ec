"""Whole engines on networks whose entries pass two kernel taps, for every kernel that allows it."""

from itertools import count

import pytest
from strategies import random_images, random_network, reads_with_one_stride

from sqhw.compiler.program import compile_network
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Gap
from sqhw.verify.cxxrtl import VolumeBench

LIMITS = {
    "max_channels": 12, "max_size": 7, "max_layers": 3, "max_kernel": 5, "branches": True,
    "taps_per_entry": 2, "sparse": True,
}  # fmt: skip
LAYERS = 20


def engine(lanes: int, max_batch: int) -> EngineConfig:
    return EngineConfig(
        lanes=lanes, bank_depth=2048, dim_bits=7, word_bits=18, weight_addr_bits=12,
        param_addr_bits=11, requantizers=2, max_batch=max_batch, groups=True, residuals=True,
        taps_per_entry=2,
    )  # fmt: skip


def passes_two(conv) -> bool:
    """Return whether an entry passes two taps somewhere."""
    return isinstance(conv.stream, Gap) and conv.stream.step > conv.weight.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        engine(2, 2),
        engine(16, 8),
        pytest.param(engine(8, 1), marks=pytest.mark.evidence),
        pytest.param(engine(32, 32), marks=pytest.mark.evidence),
    ],
    ids=lambda config: config.lanes,
)
def test_networks_of_two_taps(config, tmp_path):
    depths = {"weights": 1 << 12, "params": 1 << 11, "codebook": 1 << 9}
    write_rtl(config, depths, tmp_path)
    bench = VolumeBench(tmp_path, tmp_path / "work", optimize=0)
    layers = []
    for seed in count():
        network = random_network(seed, **LIMITS)
        convs = [conv for conv in network.convs if passes_two(conv)]
        if not convs or not reads_with_one_stride(network):
            continue
        print(f"network seed {seed}")
        program = compile_network(network, config, 1 << len(layers) % (config.batch_bits + 1))
        write_rom(program, tmp_path)
        images = random_images(network, seed, 2 * program.batch)
        report = bench.run(program, images, tmp_path)
        assert report.cycles == schedule(network, config, program.batch).cycles
        layers += convs
        if len(layers) >= LAYERS:
            break
    assert {2, 3, 4, 5} <= {conv.kernel[1] for conv in layers}
    assert {conv.stride for conv in layers} == {1, 2}
    assert any(conv.groups > 1 for conv in layers)
    assert any(conv.padding[2] % 2 and conv.stride == 2 for conv in layers)
    assert any(conv.nonzeros < 0.2 * conv.weight.size for conv in layers)

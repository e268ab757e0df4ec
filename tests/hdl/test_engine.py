"""The generated RTL against the simulator: every activation, every result, every cycle count."""

from dataclasses import replace

import numpy as np
import pytest
from hdl.support import in_four
from small_networks import bottlenecks
from strategies import random_images, random_network

from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_cost, rom_pieces
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME
from sqhw.verify.runner import RtlBench
from sqhw.verify.tools import has_icarus

# One build a configuration serves all its networks: the RTL does not depend on them.
CONFIGS = {
    "8 lanes, chains only": (
        EngineConfig(param_addr_bits=10, weight_addr_bits=11),
        {"groups": False, "residuals": False},
    ),
    "16 lanes, everything": (
        EngineConfig(
            lanes=16, word_bits=18, mult_bits=12, acc_bits=22, param_addr_bits=10,
            requantizers=4, groups=True, residuals=True, taps_per_entry=2,
        ),
        {
            "mult_bits": 12, "acc_bits": 22, "max_channels": 9, "branches": True,
            "min_code_bits": 0, "widths": (5, 8, 15, 16), "whole": 8, "max_kernel": 5,
            "taps_per_entry": 2, "sparse": True, "windows": True,
        },
    ),
    "2 lanes, narrow": (
        EngineConfig(
            lanes=2, bank_depth=1024, acc_bits=16, mult_bits=5, dim_bits=4, word_bits=12,
            max_gap_bits=3, param_addr_bits=10, requantizers=2, groups=True,
        ),
        {
            "mult_bits": 5, "acc_bits": 16, "max_gap_bits": 3, "max_size": 7, "residuals": False,
            "windows": True,
        },
    ),
    "4 lanes, widest numbers": (
        EngineConfig(
            lanes=4, bank_depth=1024, acc_bits=32, mult_bits=16, word_bits=24,
            param_addr_bits=10, residuals=True, writable=True,
        ),
        {"acc_bits": 32, "mult_bits": 16, "groups": False, "branches": True, "max_stride": 1},
    ),
    "8 lanes, dense streams, no pooling, LUT multipliers": (
        EngineConfig(
            max_gap_bits=0, maxpool=False, lut_lanes=5, param_addr_bits=10, weight_addr_bits=11,
            codebook_addr_bits=11,
        ),
        {"max_gap_bits": 0, "maxpool": False, "groups": False, "residuals": False},
    ),
    "32 lanes, several images": (
        EngineConfig(
            lanes=32, bank_depth=2048, word_bits=18, mult_bits=12, param_addr_bits=10,
            requantizers=8, max_batch=16, groups=True, residuals=True, taps_per_entry=2,
        ),
        {
            "mult_bits": 12, "branches": True, "min_code_bits": 0, "taps_per_entry": 2,
            "sparse": True, "windows": True,
        },
    ),
    "4 lanes, several images, one requantizer": (
        EngineConfig(
            lanes=4, bank_depth=2048, param_addr_bits=10, max_batch=4, groups=True, residuals=True,
            taps_per_entry=2,
        ),
        {"branches": True, "max_size": 6, "taps_per_entry": 2, "sparse": True},
    ),
    "4 lanes, each its own image": (
        EngineConfig(
            lanes=4, bank_depth=2048, param_addr_bits=10, requantizers=4, max_batch=4, groups=True,
            residuals=True,
        ),
        {"branches": True, "max_size": 6},
    ),
    "4 lanes, banks of a single port": (
        EngineConfig(
            lanes=4, bank_depth=2048, param_addr_bits=10, weight_addr_bits=12, requantizers=2,
            groups=True, residuals=True, bank_ram="single-port",
        ),
        {"branches": True, "max_size": 5, "max_layers": 3, "max_channels": 4},
    ),
    "8 lanes, Golomb-Rice streams": (
        EngineConfig(
            param_addr_bits=10, weight_addr_bits=11, quotient_ones=8, writable=True, residuals=True,
        ),
        {"groups": False, "quotient_ones": 8, "branches": True, "max_channels": 9},
    ),
    "16 lanes, Golomb-Rice streams": (
        EngineConfig(
            lanes=16, word_bits=18, mult_bits=12, param_addr_bits=10, weight_addr_bits=12,
            requantizers=4, groups=True, residuals=True, taps_per_entry=2, max_batch=2,
            quotient_ones=6,
        ),
        {
            "mult_bits": 12, "branches": True, "taps_per_entry": 2, "sparse": True,
            "quotient_ones": 6, "word_bits": 18, "max_channels": 9,
        },
    ),
    "4 lanes, tables": (
        EngineConfig(
            lanes=4, bank_depth=1024, param_addr_bits=12, requantizers=2, writable=True,
            residuals=True, tables=True,
        ),
        {"groups": False, "max_layers": 3, "max_size": 6, "tables": True},
    ),
    "16 lanes, tables": (
        EngineConfig(
            lanes=16, word_bits=18, mult_bits=12, param_addr_bits=12, requantizers=4, max_batch=2,
            groups=True, residuals=True, tables=True,
        ),
        {"mult_bits": 12, "branches": True, "tables": True},
    ),
    "128 lanes": (
        EngineConfig(
            lanes=128, bank_depth=256, word_bits=18, mult_bits=12, weight_addr_bits=11,
            param_addr_bits=10, requantizers=16, max_batch=16, groups=True, residuals=True,
        ),
        {"mult_bits": 12},
    ),
}  # fmt: skip
#: Engine that Icarus runs instead of the one of 32 lanes, which takes twice as long. Both have the
#: same depth and the same number of images a lane.
HALF = "16 lanes, several images"
CONFIGS[HALF] = (
    replace(CONFIGS["32 lanes, several images"][0], lanes=16, requantizers=4, max_batch=8),
    CONFIGS["32 lanes, several images"][1],
)
#: Devices whose block RAM makes the ROMs be cut; the other engines have ROMs in one piece.
DEVICES = {
    "16 lanes, everything": "LFE5U-85F",
    "32 lanes, several images": "XC7A35T",
    HALF: "XC7A35T",
}
#: First part of the names of modules and files, where it is not the default.
NAMES = {"8 lanes, chains only": "cam"}
#: Engines that run a quarter of the networks: most of their parts run more in other engines.
FEW = (
    "4 lanes, banks of a single port",
    "8 lanes, Golomb-Rice streams",
    "16 lanes, Golomb-Rice streams",
    "4 lanes, tables",
    "16 lanes, tables",
)
#: Engines that run half of the networks, because simulation of the widest engines is slow.
WIDE = ("32 lanes, several images", HALF, "128 lanes")
#: Engines for Verilator. Each engine runs in one simulator in the tests: those that Icarus would
#: take long for run in Verilator. `make evidence` runs them in both.
FAST = ("16 lanes, everything", "16 lanes, tables", "32 lanes, several images", "128 lanes")


def evidence(names, quick):
    """Return parameters of a test; only the quick ones run without ``--evidence``."""
    return [
        pytest.param(name, marks=[] if name in quick else pytest.mark.evidence) for name in names
    ]


VERILATOR_NAMES = evidence([name for name in CONFIGS if name != HALF], FAST)
ICARUS_NAMES = evidence(
    [name for name in CONFIGS if name not in ("32 lanes, several images", "128 lanes")],
    [name for name in CONFIGS if name not in (*FAST, "16 lanes, Golomb-Rice streams")],
)


def run_networks(name: str, folder, simulator: str, first: int, most: int) -> None:
    """Run as many networks as are wanted; those that the engine refuses are passed over."""
    engine, limits = CONFIGS[name]
    depths = {
        "weights": 1 << engine.weight_addr_bits,
        "params": 1 << engine.param_addr_bits,
        "codebook": 1 << engine.codebook_addr_bits,
    }
    device = find_device(DEVICES[name]) if name in DEVICES else None
    pieces = rom_pieces(engine, depths, device)
    assert (len(pieces["weights"]) > 1) == (device is not None)
    if name == "8 lanes, chains only":
        pieces = in_four(engine, depths)
    name = NAMES.get(name, DEFAULT_NAME)
    write_rtl(engine, depths, folder, pieces=pieces, name=name)
    bench = RtlBench(folder, folder / "work", simulator, engine.requantizers, optimize=False)
    run = 0
    seeds = range(first, first + 4 * most)
    networks = [random_network(seed, **limits) for seed in seeds]
    if engine.residuals and engine.acc_bits < 32:  # a map read with two strides
        networks[0] = bottlenecks()
    for seed, network in zip(seeds, networks, strict=True):
        if run == most:
            break
        print(f"network seed {seed}")
        try:
            batch = 1 << -seed % (engine.batch_bits + 1)  # the most images come early
            program = compile_network(network, engine, batch)
        except SqhwError as error:  # a branch may read a map with another stride
            if "stores a map for one stride" not in str(error):
                raise
            continue
        assert program.rom_bits == rom_cost(network, engine).rom
        write_rom(program, folder, pieces, name)
        images = random_images(network, seed, 2 * batch)
        report = bench.run(program, images, folder, seed)
        assert report.images == 2 * batch
        assert report.activations > 0
        run += 1
    assert run == most
    if engine.quotient_ones:
        check_damaged(
            bench, program, images, folder, lambda broken: write_rom(broken, folder, pieces, name)
        )


def check_damaged(bench, program, images, folder, write) -> None:
    """Check that streams of random bits end in the cycles of the right ones, with other numbers."""
    print("seed 0")
    rng = np.random.default_rng(0)
    weights = program.image("weights")
    words = tuple(rng.integers(0, 1 << weights.width, weights.depth).tolist())
    broken = tuple(
        replace(image, words=words) if image is weights else image for image in program.images
    )
    write(replace(program, images=broken))
    with pytest.raises(SqhwError, match=r"activations? .*(differ|undefined)|results differ"):
        bench.run(program, images, folder)


def networks(name: str, most: int) -> int:
    """Return the number of networks that an engine runs, out of those of ``--networks``."""
    return -(-most // (4 if name in FEW else 2 if name in WIDE else 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", VERILATOR_NAMES)
def test_random_networks_verilator(name, tmp_path, most_networks):
    run_networks(name, tmp_path, "verilator", 0, networks(name, most_networks))


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.parametrize("name", ICARUS_NAMES)
def test_random_networks_icarus(name, tmp_path, most_networks):
    """No output has undefined bits, which Icarus simulates."""
    run_networks(name, tmp_path, "icarus", 100, networks(name, most_networks))

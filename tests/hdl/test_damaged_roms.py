"""The RTL with damaged ROM images against `sqhw.faults`: what the engine makes of any bits."""

from dataclasses import replace

import numpy as np
import pytest
from strategies import random_images, random_network

from sqhw.compiler.program import RomImage, compile_network
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.schedule import run_cycles, schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.faults.bench import FaultBench
from sqhw.faults.campaign import drawn
from sqhw.faults.sites import sites_of
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import words_of
from sqhw.machine.timing import Timing
from sqhw.network.graph import INPUT
from sqhw.sim.simulator import Simulator
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.expected import writeback
from sqhw.verify.job import job_of

ENGINE = EngineConfig(
    lanes=4, bank_depth=1024, word_bits=18, mult_bits=12, acc_bits=22, requantizers=2,
    weight_addr_bits=11, param_addr_bits=10, groups=True, residuals=True, quotient_ones=4,
)  # fmt: skip
LIMITS = {
    "mult_bits": 12, "acc_bits": 22, "min_code_bits": 0, "quotient_ones": 4, "word_bits": 18,
    "max_layers": 3,
}  # fmt: skip
IMAGES = 2


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtl")
    # What lies beyond an image is 0, as in a block RAM: the ROMs are as deep as addresses go.
    depths = {
        "weights": 1 << ENGINE.weight_addr_bits,
        "params": 1 << ENGINE.param_addr_bits,
        "codebook": 1 << ENGINE.codebook_addr_bits,
    }
    pieces = rom_pieces(ENGINE, depths, None)
    write_rtl(ENGINE, depths, folder, pieces=pieces)
    return VolumeBench(folder, folder / "work", optimize=0), pieces


def damages(sites, rng):
    """Yield flips: one in each field, whatever the network has, then several at once."""
    for place in range(len(sites.places)):
        if not sites.places[place].covered:
            continue
        yield sites.pick(place, rng, 1)
    for count in (2, 5, 20):
        yield drawn(sites.covered, count, rng)


# Streams of all formats, a skip connection, maxima, and entries that reach below their kernels.
@pytest.mark.parametrize("seed", [0, 3, 21, 53])
def test_the_rtl_makes_the_same_of_damaged_images(volume, seed, tmp_path):
    bench, pieces = volume
    network = random_network(seed, **LIMITS)
    program = compile_network(network, ENGINE)
    images = random_images(network, seed, IMAGES)
    faults = FaultBench(program, images)
    rng = np.random.default_rng(seed)
    timing = Timing.of(ENGINE)
    whole = faults.reader.roms()
    golden = [faults.reader.read(at, whole) for at in range(len(network.layers))]
    job = job_of(program, images)
    undamaged, changed = Simulator(network).run(images), 0
    for number, flips in enumerate(damages(sites_of(faults.reader), rng)):
        roms = faults.reader.roms()
        for rom, bits in flips.items():
            roms[rom][bits] ^= 1
        damaged = {at: faults.reader.read(at, roms) for at in range(len(network.layers))}
        assert not any(layer.leaves for layer in damaged.values())
        faults.run(damaged)
        words = tuple(
            RomImage(image.name, image.width, tuple(words_of(roms[image.name], image.width)))
            for image in program.images
        )
        folder = tmp_path / str(number)
        write_rom(replace(program, images=words), folder, pieces)
        tensors = {INPUT: images} | {
            layer.name: faults.maps(layer.name) for layer in network.layers
        }
        changed += any((tensors[name] != maps).any() for name, maps in undamaged.items())
        streams = [
            writeback(program.tilings, {name: maps[at : at + 1] for name, maps in tensors.items()})
            for at in range(IMAGES)
        ]
        cycles = schedule(network, ENGINE).cycles + sum(
            run_cycles(damaged[at].counts, tiling.tiles, timing, tiling.serial)
            - run_cycles(golden[at].counts, tiling.tiles, timing, tiling.serial)
            for at, tiling in enumerate(program.tilings)
        )
        last = tensors[network.layers[-1].name]
        expected = replace(
            job,
            results=last.transpose(0, 2, 3, 1).reshape(IMAGES, -1).astype(np.uint8),
            writeback=np.stack(streams),
            cycles=cycles,
            waits=replace(job.waits, run=cycles),
        )
        bench.run_batch(expected, bench.copy_roms(pieces, folder, f"{number}_"), seed)
    assert changed

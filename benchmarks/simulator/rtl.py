"""Images a second of the RTL in Verilator and CXXRTL, builds excluded."""

import resource
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.engine.cycles import benchmark_engine
from benchmarks.simulator.cases import LISTED, random_network
from benchmarks.simulator.rows import Record
from sqhw.cost_models.device import find_device
from sqhw.network.quantized_file import save_network
from sqhw.sim.simulator import Simulator
from sqhw.steps.options import RomOptions, RtlOptions, VerifyOptions
from sqhw.steps.program import labelled
from sqhw.steps.rom import rom
from sqhw.steps.rtl import rtl
from sqhw.steps.verify import verify

#: Lanes of the engine, and the device whose block RAMs its ROMs suit.
LANES, DEVICE = 32, "LFE5U-85F"
#: Images of the short run, and of the long ones, which must take longer than a build varies: the
#: difference excludes building and starting.
SHORT, LONG = 1, {"verilator": 41, "cxxrtl": 401}


def measure(simulator: str) -> Record:
    """Return processor seconds an image of a network in a simulator of RTL, and in ours.

    Parameters
    ----------
    simulator : {"verilator", "cxxrtl"}
    """
    engine = benchmark_engine(LANES)
    network = random_network("resnet8", LISTED, engine)
    network = labelled(network, engine, find_device(DEVICE), {})
    count = 5 * LONG[simulator]  # a fifth of them are the test set
    images = (
        np.random.default_rng(0).integers(0, 256, (count, *network.input_shape)).astype(np.uint8)
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_network(network, folder / "net.safetensors")
        np.savez(folder / "data.npz", images=images, labels=np.arange(count) % 10)
        rtl(RtlOptions(network=folder / "net.safetensors", out=folder / "rtl"))
        rom(RomOptions(network=folder / "net.safetensors", out=folder / "rtl"))
        times = []
        for number in (SHORT, SHORT, LONG[simulator]):  # the first one builds what is kept
            before = _children()
            verify(
                VerifyOptions(
                    network=folder / "net.safetensors",
                    data=f"npz:{folder / 'data.npz'}",
                    rtl=folder / "rtl",
                    work=folder / "work",
                    simulator=simulator,
                    images=number,
                )
            )
            times.append(_children() - before)
    own = Simulator(network, threads=1)
    own.logits(images)
    before = _own()
    own.logits(images)
    return {
        "peer": simulator,
        "network": "resnet8",
        "lanes": LANES,
        "seconds": (times[2] - times[1]) / (LONG[simulator] - SHORT),
        "build": times[1],
        f"sqhw {LISTED:.0%}": (_own() - before) / len(images),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

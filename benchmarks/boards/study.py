"""Single engines for a network on a device by the cost model: images a second, and per DSP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.engine.table import markdown
from sqhw.compiler.device_engine import fitted_engine
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.cost_models.schedule import frame_cycles, schedule
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network

#: Engines that are compared: lanes, images side by side, and lanes that keep their DSP.
LANES, BATCHES, DSPS = (16, 32, 64, 128), (1, 2, 4, 8), (8, 16, 32, 64, 128)
#: Requantizers; more gain below 1 % on these networks.
REQUANTIZERS = 4
#: Largest share of the LUTs that an engine takes in the table, which leaves room to route.
MAX_LUT_SHARE = 0.8
#: Published entry of MLPerf Tiny: images/s and DSPs of fpgaConvNet on a ZedBoard at 143 MHz.
PUBLISHED = (2431, 211)


#: Sentence above the table.
STUDY_TEXT = (
    "Single engines for ResNet-8 (86.52 % on CIFAR-10, `benchmarks/engine`) on an LFE5U-85F by the "
    "cost model alone, streams of fewest cycles; fpgaConvNet's published entry below. The serial "
    "line brings one image at a time, so that builds have no images side by side. `~`: the clock "
    "is outside of what the model was calibrated on.\n\n"
)


@dataclass(frozen=True)
class StudyRow:
    """An engine by the model.

    Parameters
    ----------
    lanes, batch, dsps : int
        `batch` images lie side by side in a run.
    luts, ffs, brams : int
    mhz : float
    calibrated : bool
        Whether the clock lies within the model's calibration.
    cycles : float
        An image, pixels in and results out included.
    """

    lanes: int
    batch: int
    dsps: int
    luts: int
    ffs: int
    brams: int
    mhz: float
    calibrated: bool
    cycles: float

    @property
    def images_per_second(self) -> float:
        """Images a second at that clock, one frame after the other."""
        return self.mhz * 1e6 / self.cycles


def engine_of(
    network: QuantizedNetwork, device: Device, lanes: int, batch: int, dsps: int
) -> EngineConfig:
    """Return an engine for a network, `dsps` of whose lanes multiply in DSP blocks."""
    own = network.facts.engine
    return fitted_engine(
        device,
        network,
        lanes=lanes,
        max_batch=batch,
        lut_lanes=lanes - dsps,
        acc_bits=own.acc_bits,
        word_bits=own.word_bits,
        requantizers=min(REQUANTIZERS, lanes),
        taps_per_entry=own.taps_per_entry,
        levels=max(len(layer.codebook) for layer in network.convs),
    )


def with_engine(
    network: QuantizedNetwork, device: Device, lanes: int, dsps: int
) -> QuantizedNetwork:
    """Return a network on an engine of the study for one image, with streams of fewest cycles."""
    engine = engine_of(network, device, lanes, 1, dsps)
    network = cheapest_streams(network, engine, "cycles")
    label = {"engine": json.dumps(engine.to_dict()), "device": device.name}
    return replace(network, metadata=network.metadata | label)


def study(path: Path, device_name: str) -> list[dict[str, Any]]:
    """Return the engines that fit a device, with the streams of fewest cycles."""
    device, network = find_device(device_name), load_network(path)
    rows = []
    for lanes, batch, dsps in product(LANES, BATCHES, DSPS):
        if dsps > lanes:
            continue
        try:
            engine = engine_of(network, device, lanes, batch, dsps)
            placed = cheapest_streams(network, engine, "cycles")
            program = compile_network(placed, engine, batch)
        except SqhwError:
            continue
        cost = engine_cost(engine, device, program.depths)
        fits = cost.brams <= device.brams and cost.luts <= MAX_LUT_SHARE * device.luts
        if fits and cost.fmax_mhz is not None:
            cycles = frame_cycles(placed, engine, schedule(placed, engine, batch).cycles, batch)
            calibrated = cost.fmax_error is not None
            rows.append(
                StudyRow(lanes, batch, dsps, cost.luts, cost.ffs, cost.brams, cost.fmax_mhz,
                         calibrated, cycles)
            )  # fmt: skip
    return [asdict(row) for row in rows]


def study_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the study, the fastest first."""
    found = sorted((StudyRow(**row) for row in rows), key=lambda row: -row.images_per_second)
    head = ("lanes", "images side by side", "DSP", "LUT", "FF", "block RAM", "MHz",
            "cycles an image", "images/s", "images/s per DSP")  # fmt: skip
    table = [
        (str(row.lanes), str(row.batch), str(row.dsps), f"{row.luts:,}", f"{row.ffs:,}",
         str(row.brams), f"{'' if row.calibrated else '~'}{row.mhz:.1f}", f"{row.cycles:,.0f}",
         f"{row.images_per_second:,.0f}", f"{row.images_per_second / row.dsps:.1f}")
        for row in found
    ]  # fmt: skip
    speed, dsps = PUBLISHED
    table.append(("fpgaConvNet, ZedBoard", "", str(dsps), "47,000", "", "93", "143", "",
                  f"{speed:,}", f"{speed / dsps:.1f}"))  # fmt: skip
    return markdown(head, table)

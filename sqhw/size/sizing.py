"""The sizing of a network on a device: memory, multipliers, logic, time and energy."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sqhw.compiler.device_engine import activation_blocks, dsp_blocks
from sqhw.cost_models.activity import Activity, LayerActivity
from sqhw.cost_models.banks import SinglePortUse, single_port_use
from sqhw.cost_models.calibration_file import load_calibrations
from sqhw.cost_models.cluster import FrameTimes
from sqhw.cost_models.device import Device
from sqhw.cost_models.energy import EnergyPrices, EnergySplit
from sqhw.cost_models.engine_cost import EngineCost, engine_cost
from sqhw.cost_models.layer_shape import LayerShape
from sqhw.cost_models.network_options import NetworkTable
from sqhw.cost_models.rom import rom_blocks
from sqhw.cost_models.schedule import frame_cycles
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH, ROMS
from sqhw.network.graph import INPUT
from sqhw.size.layer_figures import LayerFigures
from sqhw.size.workload import Workload


@dataclass(frozen=True, eq=False)
class Sizing:
    """A network on an engine on a device. The figures leave out the rest of a design.

    Parameters
    ----------
    workload : Workload
    device : Device
    engine : EngineConfig
    batch : int
        Images of a run.
    table : NetworkTable
        Table with the chosen option of each layer only.
    shapes : tuple of LayerShape
    prices : EnergyPrices
    """

    workload: Workload
    device: Device
    engine: EngineConfig
    batch: int
    table: NetworkTable
    shapes: tuple[LayerShape, ...]
    prices: EnergyPrices

    @property
    def cores(self) -> int:
        """Number of cores. Each has its own memories and ROMs and its own image."""
        return self.engine.cores

    @cached_property
    def depths(self) -> dict[str, int]:
        """Words of each ROM of one core."""
        words = np.sum([self.table.words_of(i)[:, 0] for i in range(len(self.shapes))], axis=0)
        return {name: max(1, int(word)) for name, word in zip(ROMS, words, strict=True)}

    @property
    def memory_bits(self) -> dict[str, int]:
        """Bits of one core by use: ``weights``, ``constants``, ``codebooks``, ``activations``."""
        word, depths = self.engine.word_bits, self.depths
        return {
            "weights": depths["weights"] * word,
            "constants": depths["params"] * word,
            "codebooks": depths["codebook"] * CODEBOOK_WIDTH,
            "activations": self.engine.lanes * self.engine.bank_depth * 8,
        }

    @cached_property
    def memory_blocks(self) -> dict[str, int]:
        """Block RAMs of all cores by the same uses; 0 is a ROM that synthesis puts into LUTs."""
        blocks = [
            rom_blocks(name, self.depths[name], self.engine, self.device) * self.cores
            for name in ROMS
        ]
        banks = activation_blocks(self.engine, self.device) * self.cores
        return dict(zip(("weights", "constants", "codebooks"), blocks, strict=True)) | {
            "activations": banks
        }

    @property
    def blocks(self) -> int:
        """Block RAMs of all cores."""
        return sum(self.memory_blocks.values())

    @property
    def single_port(self) -> SinglePortUse | None:
        """Single-port RAM of the activation banks of all cores, None if they are block RAM."""
        use = single_port_use(self.engine, self.device)
        return None if use is None else {**use, "blocks": use["blocks"] * self.cores}

    @property
    def dsps(self) -> int:
        """DSP blocks of all cores."""
        return dsp_blocks(self.engine, self.device) * self.cores

    @cached_property
    def logic(self) -> EngineCost | None:
        """LUTs, flip-flops and clock of all cores; None where nothing is calibrated."""
        if self.device.family not in load_calibrations():
            return None
        return engine_cost(self.engine, self.device, self.depths)

    @property
    def luts(self) -> int | None:
        """LUTs of all cores, None if unknown."""
        return None if self.logic is None else self.logic.luts

    @property
    def ffs(self) -> int | None:
        """Flip-flops of all cores, None if unknown."""
        return None if self.logic is None else self.logic.ffs

    @property
    def fmax_mhz(self) -> float | None:
        """Clock frequency (unit: MHz), None if unknown."""
        return None if self.logic is None else self.logic.fmax_mhz

    @property
    def run_cycles(self) -> int:
        """Cycles from `start` to `done`, for all images of a run; expectations are rounded up."""
        cycles = sum(float(layer.cycles.item()) for layer in self.table.layers)
        return 1 + math.ceil(cycles - 1e-6)

    @property
    def image_cycles(self) -> float:
        """Cycles of an image, pixels in and results out included, on one core."""
        network = self.workload.network
        return frame_cycles(network, self.engine, self.run_cycles, self.batch)

    @property
    def images_per_second(self) -> float | None:
        """Images a second of all cores, None if the clock is unknown."""
        return None if self.fmax_mhz is None else self.fmax_mhz * 1e6 * self.throughput

    @property
    def throughput(self) -> float:
        """Images a cycle of all cores, which the streams of pixels and results bound."""
        if self.cores == 1:
            return 1 / self.image_cycles
        network = self.workload.network
        times = FrameTimes.of(network, self.engine, self.run_cycles, self.batch)
        return self.batch / times.interval

    @cached_property
    def activity(self) -> Activity:
        """Operations and memory accesses of one core in a run."""
        shapes = self.workload.network.shapes()
        pixels, results = (
            int(np.prod(shapes[name])) * self.batch
            for name in (INPUT, self.workload.network.layers[-1].name)
        )
        layers = tuple(layer.done for layer in self.table.layers)
        return Activity(layers, self.batch, pixels, results)

    @cached_property
    def energy(self) -> EnergySplit:
        """Energy of an image by use (unit: pJ)."""
        return self.prices.run(self.activity).scaled(1 / self.batch)

    @property
    def busy_lanes(self) -> float:
        """Share of the lanes' cycles of a run in which they compute, 0 to 1."""
        useful = sum(float(layer.useful.item()) for layer in self.activity.layers)
        return useful / (self.run_cycles * self.engine.lanes)

    @property
    def missing(self) -> list[str]:
        """Resources that the device lacks, in words; empty if the network fits."""
        pairs = {
            "block RAMs": (self.blocks, self.device.brams),
            "DSP blocks": (self.dsps, self.device.dsps),
            "LUTs": (self.luts or 0, self.device.luts),
            "flip-flops": (self.ffs or 0, self.device.ffs),
        }
        single = self.single_port
        if single is not None:
            pairs[single["block"]] = (single["blocks"], single["available"])
        return [
            f"{used - there:,} {name} ({used:,} of {there:,})"
            for name, (used, there) in pairs.items()
            if used > there
        ]

    @property
    def fits(self) -> bool:
        """Whether all that is known fits the device; LUTs may be unknown."""
        return not self.missing

    @property
    def notes(self) -> list[str]:
        """Sentences on what the figures leave out or extrapolate."""
        return list(self.logic.notes) if self.logic else []

    def layer(self, index: int) -> LayerFigures:
        """Return the figures of a layer."""
        table, shape = self.table.layers[index], self.shapes[index]
        done, name = table.done, table.name
        weights = self.workload.weights.get(name)
        words, widths = self.table.words_of(index)[:, 0], self.table.widths
        return {
            "name": name,
            "kind": shape.layer.kind,
            "weights": shape.weights if weights else 0,
            "nonzeros": int(weights.nonzeros[0]) if weights else 0,
            "format": str(table.stored.stream(0)) if weights else None,
            "rom_bits": int(words @ widths),
            "cycles": round(float(done.cycles.item())),
            "busy_lanes": _share(done),
            "energy_uj": float(table.energy_pj[0]) * 1e-6 / self.batch,
        }


def _share(done: LayerActivity) -> float:
    """Return the share of the lanes' cycles in which they multiply, add or compare."""
    return float(done.useful.item() / done.lane_cycles.item())

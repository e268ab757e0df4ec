"""Area and clock frequency of the engine after place and route, with the network that it runs."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.cost_engine.origin import verilog_digest
from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.schedule import frame_cycles, schedule
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork
from sqhw.synth.place import place


@dataclass(frozen=True)
class AreaRow:
    """An engine on a device.

    Parameters
    ----------
    network, device : str
    lanes, lut_lanes, taps_per_entry, batch : int
    luts, ffs, brams, dsps : int
        After place and route, flip-flops after synthesis; on iCE40 `luts` are logic cells. The
        shift register around the engine, some 80 flip-flops, is included.
    fmax_mhz : float
        Static timing, the median of the placements (unit: MHz).
    cycles : float
        An image, pixels in and results out included.
    seeds : int
        Placements.
    verilog : str
        Digest of the Verilog that was placed; empty if that was not kept.
    """

    network: str
    device: str
    lanes: int
    lut_lanes: int
    taps_per_entry: int
    batch: int
    luts: int
    ffs: int
    brams: int
    dsps: int
    fmax_mhz: float
    cycles: float
    seeds: int
    verilog: str

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "AreaRow":
        """Return the row that `to_dict` made this of."""
        return cls(**{field.name: entry[field.name] for field in fields(cls)})

    @property
    def images_per_second(self) -> float:
        """Images a second at that clock, one frame after the other."""
        return self.fmax_mhz * 1e6 / self.cycles

    @property
    def images_per_second_and_dsp(self) -> float:
        """Images a second for each multiplier block."""
        return self.images_per_second / self.dsps if self.dsps else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the row with its rates."""
        return asdict(self) | {
            "images_per_second": self.images_per_second,
            "images_per_second_and_dsp": self.images_per_second_and_dsp,
        }


def area_row(
    network: QuantizedNetwork,
    engine: EngineConfig,
    device: str,
    batch: int,
    seeds: int,
    work: Path,
) -> AreaRow:
    """Place and route an engine with a network's ROM images, with an odd number of seeds."""
    if seeds % 2 == 0:
        raise SqhwError(f"seeds must be an odd number, of which there is a median, not {seeds}")
    program = compile_network(network, engine, batch)
    folder = (
        work
        / f"{network.name}-{device.replace(' ', '-')}-{engine.lut_lanes}-{engine.taps_per_entry}"
    )
    part = find_device(device)
    pieces = rom_pieces(engine, program.depths, part)
    write_rom(program, folder, pieces)
    write_rtl(engine, program.depths, folder, pieces=pieces)
    reports = [
        place(folder, part, seed=seed, work=folder / f"seed{seed}") for seed in range(1, seeds + 1)
    ]
    middle = sorted(reports, key=lambda report: report.fmax_mhz)[len(reports) // 2]
    return AreaRow(
        network=network.name,
        device=part.name,
        lanes=engine.lanes,
        lut_lanes=engine.lut_lanes,
        taps_per_entry=engine.taps_per_entry,
        batch=batch,
        luts=middle.luts,
        ffs=middle.ffs,
        brams=middle.brams,
        dsps=middle.dsps,
        fmax_mhz=middle.fmax_mhz,
        cycles=frame_cycles(network, engine, schedule(network, engine, batch).cycles, batch),
        seeds=seeds,
        verilog=verilog_digest(folder / "seed1"),
    )

"""Cycles of whole networks: measured in RTL, predicted, and the bound."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from benchmarks.engine.networks import Case
from sqhw.compiler.program import Program, compile_network
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.planner.bank_plan import peak_rows
from sqhw.planner.placement import network_maps
from sqhw.verify.cxxrtl import VolumeBench

#: Lanes that share a requantizer. With eight, a tile's channel is written back while the next one,
#: of eight entries or more, is computed.
LANES_A_REQUANTIZER = 8


@dataclass(frozen=True)
class CycleRow:
    """One network on one engine, one image or a full batch.

    Parameters
    ----------
    network, weights : str
    density : float
    lanes, batch : int
    nonzeros : int
        Non-zero weights. Average pooling and skips are not counted here, but are in the bound.
    measured, predicted : int
        Cycles an image.
    bound : float
        Non-zeros, taps of pooling and channels that get a skip, times positions over lanes,
        cycles an image. Taps in the padding count as work, as they do in this dataflow.
    activations : int
        Compared with the simulator, all equal.
    """

    network: str
    weights: str
    density: float
    lanes: int
    batch: int
    nonzeros: int
    measured: float
    predicted: float
    bound: float
    activations: int

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "CycleRow":
        """Return the row that `to_dict` made this of."""
        return cls(**{field.name: entry[field.name] for field in fields(cls)})

    @property
    def ratio(self) -> float:
        """Cycles over the bound."""
        return self.measured / self.bound

    def to_dict(self) -> dict[str, Any]:
        """Return the row with its ratio."""
        return asdict(self) | {"ratio": self.ratio}


def benchmark_engine(lanes: int) -> EngineConfig:
    """Return the benchmark's engine; its banks are made as deep as the networks need."""
    requantizers = max(1, lanes // LANES_A_REQUANTIZER)
    return EngineConfig(
        lanes=lanes,
        bank_depth=65536,
        acc_bits=28,
        mult_bits=12,
        word_bits=18,
        weight_addr_bits=22,
        param_addr_bits=16,
        codebook_addr_bits=11,
        taps_per_entry=2,
        requantizers=requantizers,
        max_batch=requantizers,
        groups=True,
        residuals=True,
    )


def cycle_rows(
    cases: list[Case],
    lanes: int,
    images: npt.NDArray[Any],
    work: Path,
    progress: Callable[[str], None],
) -> Iterator[CycleRow]:
    """Run every case for one image and for a full batch; one build of the RTL serves all."""
    engine = benchmark_engine(lanes)
    batches = sorted({1, engine.max_batch})
    rows = max(
        peak_rows(c.network, network_maps(c.network, lanes, engine.max_batch)) for c in cases
    )
    engine = replace(engine, bank_depth=1 << (rows - 1).bit_length())
    programs = [(c, compile_network(c.network, engine, batch)) for c in cases for batch in batches]
    depths = {
        name: max(program.depths[name] for _, program in programs) for name in programs[0][1].depths
    }
    rtl = work / f"lanes{lanes}"
    progress(f"building the RTL of {lanes} lanes")
    write_rtl(engine, depths, rtl)
    bench = VolumeBench(rtl, rtl / "work")
    for case, program in programs:
        progress(f"{case.name} {case.density:.0%}, {lanes} lanes, {program.batch} images")
        yield _run(case, program.padded(depths), bench, images, rtl)


def _run(
    case: Case, program: Program, bench: VolumeBench, images: npt.NDArray[Any], folder: Path
) -> CycleRow:
    plan = schedule(program.network, program.engine, program.batch)
    write_rom(program, folder)
    report = bench.run(program, images[: program.batch], folder)
    return CycleRow(
        network=case.name,
        weights=case.weights,
        density=case.density,
        lanes=program.engine.lanes,
        batch=program.batch,
        nonzeros=sum(layer.nonzeros for layer in case.network.convs if layer.kind != "avgpool"),
        measured=report.cycles / program.batch,
        predicted=plan.cycles / program.batch,
        bound=plan.bound / program.batch,
        activations=report.activations,
    )

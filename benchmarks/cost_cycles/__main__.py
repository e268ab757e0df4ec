"""Run with ``python -m benchmarks.cost_cycles``."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cost_cycles.engines import ENGINES, programs
from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.compiler.program import Program
from sqhw.cost_models.layer_use import BOUNDS, layer_use
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.planner.placement import place
from sqhw.verify.cxxrtl import VolumeBench
from tests.strategies import random_images

app = typer.Typer(add_completion=False)


@dataclass
class Row:
    """The networks of an engine: what was compared, and what their layers wait for."""

    engine: str
    networks: int = 0
    batches: int = 0
    runs: int = 0
    cycles: int = 0
    differences: int = 0
    work: float = 0.0

    def __post_init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.bounded: Counter[str] = Counter()


@app.command()
def main(
    networks: Annotated[int, typer.Option(help="Random networks of each engine.")] = 40,
    runs: Annotated[int, typer.Option(help="Frames that each of them runs.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for RESULTS.md and the RTL.")] = Path(
        "build/benchmarks/cost_cycles"
    ),
    engines: Annotated[str, typer.Option(help="Only engines with this in their name.")] = "",
) -> None:
    """Compare predicted cycles with the RTL's; exit with 1 if any differ."""
    make_folder(out)
    rows = [_row(name, networks, runs, out) for name in ENGINES if engines in name]
    report = sentence(measured_on("amaranth", "pyosys")) + "\n" + _report(rows, networks, runs)
    write_sealed_text(out / "RESULTS.md", report)
    print(report)
    raise SystemExit(1 if any(row.differences for row in rows) else 0)


def _row(name: str, networks: int, runs: int, out: Path) -> Row:
    engine, _ = ENGINES[name]
    row = Row(name)
    rtl = out / "work" / name.replace(",", "").replace(" ", "-")
    note(f"{name}: building the RTL")
    bits = (engine.weight_addr_bits, engine.param_addr_bits, engine.codebook_addr_bits)
    depths = dict(zip(("weights", "params", "codebook"), (1 << n for n in bits), strict=True))
    write_rtl(engine, depths, rtl)
    bench = VolumeBench(rtl, rtl / "work", optimize=1)
    for seed, program in programs(name, networks):
        network, batch = program.network, program.batch
        predicted = schedule(network, engine, batch)
        write_rom(program, rtl)
        images = random_images(network, seed, runs * batch)
        row.networks += 1
        row.runs += runs
        try:
            report = bench.run(program.padded(depths), images, rtl, seed)
        except SqhwError as error:
            row.differences += 1
            note(f"  network {seed}, batch {batch}: {error}")
            continue
        row.cycles += report.cycles
        row.differences += report.cycles != predicted.cycles
        row.kinds.update(_kinds(program))
        row.batches += batch > 1
        for use in layer_use(network, engine, batch):
            row.work += use.work
            row.bounded[use.bounded_by] += 1
            row.spent.update(use.spent)
    return row


def _kinds(program: Program) -> Counter[str]:
    found: Counter[str] = Counter()
    for layer in program.network.layers:
        found[layer.kind] += 1
        found["stride 2"] += layer.stride == 2
        found["skip"] += getattr(layer, "residual", None) is not None
        found["grouped"] += getattr(layer, "groups", 1) > 1
    for tiling in place(program.network, program.engine, program.batch):
        found[f"written {tiling.write.value}"] += 1
    return found


def _report(rows: list[Row], networks: int, runs: int) -> str:
    head = ("engine", "networks", "of them in batches", "runs", "cycles", "differences",
            "layers by kind")  # fmt: skip
    table = [
        (
            row.engine,
            str(row.networks),
            str(row.batches),
            str(row.runs),
            f"{row.cycles:,}",
            str(row.differences),
            ", ".join(f"{count} {kind}" for kind, count in sorted(row.kinds.items()) if count),
        )
        for row in rows
    ]
    sums = [str(sum(getattr(row, key) for row in rows)) for key in ("networks", "batches", "runs")]
    cycles, wrong = sum(row.cycles for row in rows), sum(row.differences for row in rows)
    where = ("engine", "MAC utilisation", *BOUNDS, *(f"layers: {name}" for name in BOUNDS))
    spent = []
    for row in rows:
        everything = sum(row.spent.values()) or 1
        spent.append(
            (
                row.engine,
                f"{row.work / everything:.0%}",
                *(f"{row.spent[name] / everything:.0%}" for name in BOUNDS),
                *(str(row.bounded[name]) for name in BOUNDS),
            )
        )
    return (
        f"Cycles from start to done in RTL (CXXRTL) and by the model; {networks} random networks "
        f"an engine, {runs} runs each, every result and activation compared as well:\n\n"
        + markdown(head, [*table, ("all", *sums, f"{cycles:,}", str(wrong), "")])
        + "\nWhere the cycles of these small networks go, and how many layers are bounded by what "
        "(`cost_models/layer_use.py`):\n\n" + markdown(where, spent)
    )


if __name__ == "__main__":
    app()

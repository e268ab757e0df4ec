"""Run with ``python -m benchmarks.mutants.drawn``: faults that yosys draws from the netlist."""

import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.mutants.__main__ import check_whole, each_row
from benchmarks.mutants.bench import (
    MutantBench,
    programs,
    small_directed_programs,
    write_engine,
)
from benchmarks.mutants.random_netlist import DRAW
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import read_sealed, write_sealed, write_sealed_text
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.faults.interval import wilson

RESULTS, TABLE = (Path(__file__).with_name(f"drawn{suffix}") for suffix in (".json", ".md"))
#: Most survivors that the table names.
LISTED = 60
#: Text of the page around its tables.
TEXT = """# Faults that yosys draws

{origin}
`python -m benchmarks.mutants.drawn`: {total} faults of yosys' `mutate` (seed {seed}) in the flat
netlist of the small engine of [the other table](RESULTS.md). One build has all of them and an
input that selects one. Each runs on directed networks, on {networks} random ones and on one with a
reset in each cycle of it, until it is noticed. Survivors went to no equivalence check. Those that
change nothing count as missed, so the share is a lower bound.

**{found} of {total} noticed: {share:.1%}** (95 %: {low:.1%} to {high:.1%}).

{table}
Survivors, the first {listed} of {left}:

{survivors}"""


class DrawnBench(MutantBench):
    """One build of the engine with faults that yosys draws.

    Parameters
    ----------
    rtl, work : path
        Folders, see `VolumeBench`.
    faults, seed : int
        Number of faults and seed of the draw.
    """

    def __init__(self, rtl: Path, work: Path, *, faults: int, seed: int, optimize: int = 1) -> None:
        self._draw = {"faults": faults, "seed": seed}
        super().__init__(rtl, work, optimize=optimize)

    def _translate(self) -> list[str]:
        atomic_write_text(self._run / DRAW, json.dumps(self._draw))
        return [str(Path(__file__).with_name("random_netlist.py"))]


def main(
    faults: Annotated[int, typer.Option(help="Faults that are drawn.", min=1)] = 1000,
    networks: Annotated[int, typer.Option(help="Random networks that a fault may survive.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the draw.", min=0)] = 1,
    jobs: Annotated[int, typer.Option(help="Faults that run at a time.", min=1)] = 2,
    optimize: Annotated[int, typer.Option(help="Level of the C++ compiler.", min=0, max=3)] = 1,
    out: Annotated[Path, typer.Option(help="Folder; a run that stopped goes on.")] = Path(
        "build/benchmarks/drawn"
    ),
    write: Annotated[bool, typer.Option(help="Keep the results beside the code.")] = True,
) -> None:
    """Put each fault into the netlist and run networks until it shows."""
    make_folder(out)
    origin = measured_on("amaranth", "pyosys")
    folder = out / "netlist"
    note(f"building the RTL with {faults} faults")
    write_engine(folder)
    bench = DrawnBench(folder, folder / "work", faults=faults, seed=seed, optimize=optimize)
    named = [*small_directed_programs(), *islice(programs(networks), networks)]
    ready = [bench.prepare(*one, folder) for one in named]
    ready.append(bench.prepare_sweep(folder))
    check_whole(bench, ready)
    mutants = bench.mutants
    rows = list(
        each_row(
            [(mutant.kind, f"{mutant.number} {mutant.place}") for mutant in mutants],
            lambda index: bench.killed(mutants[index].number, ready),
            out / f"drawn-{faults}-{seed}-{networks}.json",
            jobs,
        )
    )
    record = {"measured_on": origin, "networks": networks, "seed": seed, "rows": rows}
    text = report_text(record)
    if write:
        write_sealed(RESULTS, record)
        write_sealed_text(TABLE, text)
    print(text)


def table() -> None:
    """Write the table from the kept results."""
    write_sealed_text(TABLE, report_text(read_sealed(RESULTS)))


def report_text(record: Mapping[str, Any]) -> str:
    """Return the table of a record of `main`."""
    rows = record["rows"]
    counts = Counter(kind for kind, *_ in rows)
    noticed = Counter(kind for kind, _, network, _ in rows if network)
    shares = {kind: noticed[kind] / number for kind, number in counts.items()}
    total, found = len(rows), sum(noticed.values())
    low, high = wilson(found / total, total)
    lines = [
        (kind, str(counts[kind]), str(noticed[kind]), f"{shares[kind]:.1%}")
        for kind in sorted(counts)
    ]
    left = [(kind, place) for kind, place, network, _ in rows if not network]
    return TEXT.format(
        origin=sentence(record["measured_on"]),
        total=total,
        seed=record["seed"],
        networks=record["networks"],
        found=found,
        share=found / total,
        low=low,
        high=high,
        table=markdown(("fault", "drawn", "noticed", "share"), lines),
        listed=min(LISTED, len(left)),
        left=len(left),
        survivors=markdown(("fault", "number, cell, port and wire"), left[:LISTED]),
    )


if __name__ == "__main__":
    typer.run(main)

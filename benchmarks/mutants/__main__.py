"""Run with ``python -m benchmarks.mutants``."""

import json
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.progress import note
from benchmarks.mutants.bench import (
    SOURCE_ENGINES,
    WIDE,
    MutantBench,
    Prepared,
    killed_source,
    large_directed_programs,
    programs,
    small_directed_programs,
    wide_programs,
    write_engine,
)
from benchmarks.mutants.netlist import RESET_KINDS, SHORT
from benchmarks.mutants.report import OPEN, RESET_NETWORKS, report_text
from benchmarks.mutants.source import SOURCE_MUTANTS, unchanged
from benchmarks.mutants.survivors import reason
from benchmarks.origin import measured_on
from benchmarks.seal import read_sealed, write_sealed, write_sealed_text
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.errors import SqhwError

RESULTS = Path(__file__).with_name("results.json")
TABLE = Path(__file__).with_name("RESULTS.md")
SOURCE_KIND = "token of the source changed"

#: Faults that need an engine of more lanes than `ENGINE` has.
WIDE_FAULTS = [(SHORT, f"accumulate.masks.step_{axis}") for axis in "xy"]

#: Kind and place of a fault, the network that showed it, and the sentence of the bench, or nothing.
Row = tuple[str, str, str, str]


def main(
    networks: Annotated[int, typer.Option(help="Random networks that a fault may survive.")] = 60,
    jobs: Annotated[int, typer.Option(help="Faults that run at a time.", min=1)] = 2,
    out: Annotated[
        Path, typer.Option(help="Folder for the RTL; a run that stopped goes on.")
    ] = Path("build/benchmarks/mutants"),
    source: Annotated[bool, typer.Option(help="Faults of the source too: a build each.")] = True,
    write: Annotated[bool, typer.Option(help="Keep the results beside the code.")] = True,
    again: Annotated[
        bool, typer.Option(help="Run only faults that the kept table has as open; it says so.")
    ] = False,
    source_only: Annotated[
        bool, typer.Option(help="Run only faults of the source, for the kept table; it says so.")
    ] = False,
) -> None:
    """Put each fault into the RTL and run networks until it shows; 1 if one never does."""
    make_folder(out)
    origin = measured_on("amaranth", "pyosys")
    if again or source_only:
        record = _again(networks, jobs, out) if again else _with_source(networks, out)
        write_sealed(RESULTS, record)
        write_sealed_text(TABLE, report_text(record))
        return
    rows = list(_netlist_rows(networks, jobs, out / f"netlist-{networks}.json"))
    if source:
        rows += _source_rows(networks, out / f"source-{networks}.json")
    record = {
        "measured_on": origin,
        "networks": networks,
        "rows": rows,
    }
    text = report_text(record)
    if write:
        write_sealed(RESULTS, record)
        write_sealed_text(TABLE, text)
    print(text)
    raise SystemExit(OPEN in text)


def table() -> None:
    """Write the table from the kept results."""
    write_sealed_text(TABLE, report_text(read_sealed(RESULTS)))


def _again(networks: int, jobs: int, out: Path) -> dict[str, Any]:
    """Return the kept record after another run of its open faults."""
    record = read_sealed(RESULTS)
    open_ = {(kind, at) for kind, at, by, _ in record["rows"] if not by and not reason(kind, at)}
    kept = out / f"again-{networks}.json"
    found = {row[:2]: row for row in _netlist_rows(networks, jobs, kept, open_)}
    rows = [found.get((row[0], row[1]), tuple(row)) for row in record["rows"]]
    return record | {"rows": rows, "again": [measured_on("amaranth", "pyosys"), len(open_)]}


def _with_source(networks: int, out: Path) -> dict[str, Any]:
    """Return the kept record after another run of the faults of the source."""
    record = read_sealed(RESULTS)
    rows = [row for row in record["rows"] if row[0] != SOURCE_KIND]
    rows += _source_rows(networks, out / f"source-{networks}.json")
    return record | {"rows": rows, "source": measured_on("amaranth", "pyosys")}


def _netlist_rows(
    networks: int, jobs: int, kept: Path, only: Set[tuple[str, str]] = frozenset()
) -> Iterator[Row]:
    """Return rows of the faults of registers and ports, or of some."""
    note("building the RTL with the faults of all registers and ports")
    folder = kept.parent / "netlist"
    write_engine(folder)
    bench = MutantBench(folder, folder / "work")
    small = [*small_directed_programs(), *islice(programs(networks), RESET_NETWORKS)]
    large = [*islice(programs(networks), RESET_NETWORKS, None), *large_directed_programs()]
    resets = [bench.prepare(*named, folder) for named in small]
    others = [*resets, *(bench.prepare(*named, folder) for named in large)]
    resets.append(bench.prepare_sweep(folder))
    check_whole(bench, [*others, resets[-1]])

    mutants = [each for each in bench.mutants if not only or (each.kind, each.place) in only]

    def killed(index: int) -> tuple[str, str] | None:
        mutant = mutants[index]
        return bench.killed(mutant.number, resets if mutant.kind in RESET_KINDS else others)

    faults = [(mutant.kind, mutant.place) for mutant in mutants]
    rows = list(each_row(faults, killed, kept, jobs))
    wide = _wide(kept.parent / "wide", {row[:2] for row in rows if not row[2]} & set(WIDE_FAULTS))
    yield from ((*row[:2], *wide.get(row[:2], row[2:])) for row in rows)


def _wide(folder: Path, faults: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the rows of faults, run again in an engine of more lanes, that are noticed there."""
    note("building an engine of more lanes")
    write_engine(folder, WIDE)
    bench = MutantBench(folder, folder / "work")
    networks = [bench.prepare(*named, folder) for named in wide_programs()]
    check_whole(bench, networks)
    found = {
        (mutant.kind, mutant.place): bench.killed(mutant.number, networks)
        for mutant in bench.mutants
        if (mutant.kind, mutant.place) in faults
    }
    return {fault: (run[0], _short(run[1])) for fault, run in found.items() if run}


def check_whole(bench: MutantBench, networks: Sequence[Prepared]) -> None:
    """Refuse an engine that fails without a fault."""
    if (said := bench.killed(0, networks)) is not None:
        raise SqhwError(f"the engine without a fault fails: {said[1]}")


def _source_rows(networks: int, kept: Path) -> Iterator[Row]:
    for engine in SOURCE_ENGINES:
        if (said := killed_source(unchanged(engine), kept.parent / "source", networks)) is not None:
            raise SqhwError(f"the engine {engine!r} without a fault fails: {said[1]}")
    yield from each_row(
        [(SOURCE_KIND, str(mutant)) for mutant in SOURCE_MUTANTS],
        lambda index: killed_source(SOURCE_MUTANTS[index], kept.parent / "source", networks),
        kept,
        jobs=1,
    )


def each_row(
    faults: Sequence[tuple[str, str]],
    killed: Callable[[int], tuple[str, str] | None],
    kept: Path,
    jobs: int,
) -> Iterator[Row]:
    """Run the faults that a file lacks, write each result to the file, and yield all rows."""
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    with ThreadPoolExecutor(jobs) as pool:
        keys = [" / ".join(fault) for fault in faults]
        open_ = [index for index, key in enumerate(keys) if key not in done]
        for index, found in zip(open_, pool.map(killed, open_), strict=True):
            done[keys[index]] = found or ["", ""]
            note(f"{keys[index]}: {'noticed' if found else 'not noticed'}")
            atomic_write_text(kept, json.dumps(done, indent=1))
    for fault, key in zip(faults, keys, strict=True):
        network, said = done[key]
        yield (*fault, network, _short(said))


def _short(said: str) -> str:
    """Return the sentence of a bench, without the name of the simulator and the paths."""
    return said.partition("; ")[2].partition("; files: ")[0]


if __name__ == "__main__":
    typer.run(main)

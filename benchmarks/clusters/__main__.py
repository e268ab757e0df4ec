"""`python -m benchmarks.clusters`: engines of several cores, predicted, measured and placed."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.boards.kept import kept
from benchmarks.clusters.designs import (
    DESIGNS,
    TOOLS,
    Design,
    frame_times,
    predicted,
    program_of,
    write_design,
)
from benchmarks.clusters.measure import ROUNDS, measured_interval, placement
from benchmarks.clusters.table import report_text
from benchmarks.origin import measured_on
from benchmarks.seal import write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError

DEVICE = "LFE5U-85F"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for results.json and RESULTS.md.")] = Path(
        "build/benchmarks/clusters"
    ),
    work: Annotated[
        Path, typer.Option(help="Folder of the designs; what was measured there is kept.")
    ] = Path("build/benchmarks/clusters/work"),
    only: Annotated[str, typer.Option(help="Labels of designs.")] = ",".join(
        design.label for design in DESIGNS
    ),
    seeds: Annotated[
        str, typer.Option(help="Seeds of the placements; empty for no placement.")
    ] = "1,2,3",
    cycles: Annotated[bool, typer.Option(help="Whether the RTL is run.")] = True,
) -> None:
    """Predict, run and place engines; a placement of a full device takes 10 to 20 minutes."""
    make_folder(out)
    known = {design.label: design for design in DESIGNS}
    unknown = [label for label in only.split(",") if label not in known]
    if unknown:
        raise typer.BadParameter(f"no design {', '.join(unknown)}; there are {', '.join(known)}")
    numbers = [_number(seed) for seed in seeds.split(",") if seed]
    rows = [_row(known[label], work, numbers, cycles) for label in only.split(",")]
    results = {"measured_on": measured_on(*TOOLS), "device": DEVICE, "rows": rows}
    write_sealed(out / "results.json", results)
    atomic_write_text(out / "RESULTS.md", report_text(results))
    print(report_text(results))


def _number(seed: str) -> int:
    """Return a seed of the command line."""
    if not (seed.isascii() and seed.isdigit() and len(seed) < 11 and 0 < int(seed) < 1 << 31):
        raise typer.BadParameter(f"a seed must be 1 to {(1 << 31) - 1:,}, not {seed!r}")
    return int(seed)


def _row(design: Design, work: Path, seeds: list[int], run: bool) -> dict[str, Any]:
    """Return the figures of a design, measured or kept from before."""
    device = find_device(DEVICE)
    program = program_of(design, device)
    folder = make_folder(work / design.label)
    digest = write_design(program, device, folder)
    model = predicted(program, device)
    measured = None
    if run:
        path = folder / f"{design.label}-cycles.kept"
        measured = kept(path, f"{digest} {ROUNDS}", partial(measured_interval, program, folder))
        ends = frame_times(program).last_results(ROUNDS[1] * design.cores)
        between = ends[-1] - ends[ROUNDS[0] * design.cores - 1]
        images = (ROUNDS[1] - ROUNDS[0]) * design.cores * design.batch
        # Frames of a single engine are started by the bench, not by a distributor of the design.
        if design.cores > 1 and measured["interval"] != between / images:
            raise SqhwError(
                f"{design.label}: {measured['interval']} cycles between images in RTL, "
                f"{between / images} predicted"
            )
    placed = [
        placed_or_failed(
            seed,
            folder / f"{design.label}-seed{seed}.kept",
            digest,
            partial(placement, folder, device, digest, seed),
        )
        for seed in seeds
    ]
    return asdict(design) | {"predicted": model, "cycles": measured, "placed": placed}


def placed_or_failed(
    seed: int, path: Path, digest: str, place: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return a placement, kept or made; or ``failed``, what the tool said, which is not kept."""
    try:
        return {"seed": seed} | kept(path, digest, place)
    except SqhwError as error:
        return {"seed": seed, "failed": str(error).split("; see ")[0]}


if __name__ == "__main__":
    app()

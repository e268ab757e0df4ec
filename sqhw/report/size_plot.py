"""Pictures of the result of `sqhw size`: devices, one device, or a Pareto front."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from sqhw.atomic import atomic_write_bytes
from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError, unknown_name
from sqhw.report.plots import literal
from sqhw.report.size_results import DeviceFigures, SizeResult, that_can_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
#: Colours of bars: fits, does not fit, idle; colours of the slices of a breakdown.
FIT_COLOUR, LACK_COLOUR, IDLE_COLOUR = "#2a6f97", "#c8553d", "#a9d6e5"
PARTS = ("#5fa8d3", "#89c2d9", "#bee3db", "#f4a261", "#e9c46a", "#d08c60", "#90be6d", "#c9c9c9")
#: Largest number of labelled points of a front; the fastest ones have labels.
MOST_LABELS = 30
#: Metadata of pictures without the date, so that the same figures give the same bytes.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def check_plot(path: Path) -> None:
    """Refuse a picture that cannot be made, before anything is computed.

    Raises
    ------
    SqhwError
        If the suffix is none of png, svg and pdf, or matplotlib is missing.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        raise unknown_name("picture format", path.suffix.removeprefix("."), FORMATS)
    need_package("matplotlib", f"the plot {path}")


def plot_sizes(result: SizeResult, path: Path) -> None:
    """Draw the result of `sqhw.steps.size.size_network` and write it to a file.

    Parameters
    ----------
    result : dict
    path : Path
        ``*.png``, ``*.svg`` or ``*.pdf``; its folder must exist.

    Raises
    ------
    SqhwError
        If there is nothing to draw, or the file cannot be written.
    """
    check_plot(path)
    from matplotlib import rc_context

    if "front" in result:
        figure = _front(result)
    elif len(result["devices"]) > 1:
        figure = _devices(result)
    else:
        (device,) = that_can_run(result["devices"])
        figure = _device(result, device)
    kind, buffer = path.suffix.removeprefix("."), io.BytesIO()
    with rc_context({"svg.hashsalt": "sqhw"}):
        figure.savefig(buffer, format=kind, dpi=120, metadata=METADATA[kind])
    atomic_write_bytes(path, buffer.getvalue())


def _figure(width: float, height: float, title: str) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(literal(title), fontsize=11)
    return figure


def _title(result: SizeResult) -> str:
    assumed = result["assumed"]
    title = f"{result['network']}, {result['nonzeros']:,} of {result['weights']:,} weights"
    if assumed:
        title += f" (assumed: density {assumed['density']:g}, {assumed['bits']} bit)"
    return title


def _devices(result: SizeResult) -> "Figure":
    """Draw block RAM used, time and energy, a row for each device, the smallest at the top."""
    found = that_can_run(result["devices"])
    if not found:
        raise SqhwError(f"no device can run {result['network']!r}, there is nothing to draw")
    found.sort(key=lambda d: d["blocks"] / d["available_blocks"])
    figure = _figure(11, 1.5 + 0.22 * len(found), _title(result))
    axes = figure.subplots(1, 3, sharey=True)
    rows = range(len(found))
    colours = [FIT_COLOUR if d["fits"] else LACK_COLOUR for d in found]
    shares = [d["blocks"] / d["available_blocks"] for d in found]
    # Bars on a logarithmic axis begin at 1, a device that is just full.
    axes[0].barh(rows, [share - 1 for share in shares], left=1, color=colours)
    axes[0].set_xscale("log")
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].axvline(1, color="black", linewidth=1)
    axes[0].set_xlabel("block RAM: needed / available")
    if all(d["images_per_second"] is not None for d in found):
        axes[1].barh(rows, [d["images_per_second"] for d in found], color=colours)
        axes[1].set_xlabel("images/s")
    else:
        axes[1].barh(rows, [d["image_cycles"] / 1000 for d in found], color=colours)
        axes[1].set_xlabel("thousand cycles an image")
    axes[2].barh(rows, [d["energy_uj"] for d in found], color=colours)
    axes[2].set_xlabel("uJ an image (estimate)")
    for axis in axes:
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    axes[0].set_yticks(rows, [literal(d["device"]) for d in found], fontsize=8)
    axes[0].set_ylim(len(found) - 0.4, -0.6)
    _legend(figure, {"fits": FIT_COLOUR, "does not fit": LACK_COLOUR})
    return figure


def _device(result: SizeResult, d: DeviceFigures) -> "Figure":
    """Draw ROM bits and cycles by layer, and memory and energy by use."""
    layers = d["layers"]
    state = "fits" if d["fits"] else "lacks " + ", ".join(d["missing"])
    figure = _figure(11, 3 + 0.2 * len(layers), f"{_title(result)} on {d['device']}: {state}")
    axes = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    rows = range(len(layers))
    axes[0].barh(rows, [layer["rom_bits"] / 1024 for layer in layers], color=FIT_COLOUR)
    axes[0].set_xlabel("ROM (Kibit)")
    axes[0].set_yticks(rows, [literal(layer["name"]) for layer in layers], fontsize=8)
    cycles = [layer["cycles"] for layer in layers]
    busy = [layer["cycles"] * layer["busy_lanes"] for layer in layers]
    axes[1].barh(rows, cycles, color=IDLE_COLOUR)
    axes[1].barh(rows, busy, color=FIT_COLOUR)
    axes[1].set_xlabel("cycles a run")
    axes[1].set_yticks(rows, [""] * len(layers))
    _legend(figure, {"lanes busy": FIT_COLOUR, "lanes idle": IDLE_COLOUR})
    for axis in axes[:2]:
        axis.invert_yaxis()
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    blocks = {use: part["blocks"] / d["available_blocks"] for use, part in d["memory"].items()}
    energy = {
        use.replace("_", " "): part / d["energy_uj"] for use, part in d["energy_split_uj"].items()
    }
    _stack(axes[2], 0, blocks)
    _stack(axes[2], 1, energy)
    axes[2].axhline(1, color="black", linewidth=1)
    axes[2].set_xticks([0, 1], ["block RAM\nof device", "energy\nof image"])
    axes[2].set_ylabel("share")
    return figure


def _stack(axis: "Axes", at: int, parts: dict[str, float]) -> None:
    """Draw one bar of parts, with the names of those that are large enough to hold them."""
    bottom, total = 0.0, sum(parts.values())
    for (name, part), colour in zip(parts.items(), PARTS, strict=False):
        axis.bar(at, part, bottom=bottom, color=colour, width=0.9)
        if part > 0.05 * max(1.0, total):
            axis.text(at, bottom + part / 2, name, ha="center", va="center", fontsize=7)
        bottom += part


def _front(result: SizeResult) -> "Figure":
    """Draw the Pareto front: speed over block RAM, energy as colour, lanes and cores beside it."""
    front = result["front"]
    figure = _figure(9, 6, f"{_title(result)} on {result['device']}: Pareto front")
    axis = figure.subplots()
    speed = [rate for d in front if (rate := d["images_per_second"]) is not None]
    known = len(speed) == len(front)
    if not known:
        speed = [1e6 / d["image_interval"] for d in front]
    points = axis.scatter(
        [d["blocks"] for d in front],
        speed,
        c=[d["energy_uj"] for d in front],
        s=[12 + 1.5 * d["engine"]["lanes"] * d["cores"] ** 0.5 for d in front],
        cmap="viridis",
        edgecolors="black",
        linewidths=0.4,
    )
    for d, y in list(zip(front, speed, strict=True))[:MOST_LABELS]:
        text = f"{d['engine']['lanes']} lanes"
        text += f" x {d['cores']}" if d["cores"] > 1 else ""
        text += f", {d['batch']} images" if d["batch"] > 1 else ""
        axis.annotate(text, (d["blocks"], y), (7, -3), textcoords="offset points", fontsize=7)
    axis.margins(x=0.15)
    figure.colorbar(points, label="uJ an image (estimate)")
    axis.set_xlabel(f"block RAMs (of {front[0]['available_blocks']:,})")
    axis.set_ylabel("images/s" if known else "images per million cycles")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    return figure


def _legend(figure: "Figure", colours: dict[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=len(handles))

"""A picture of the result of `sqhw faults`."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqhw.atomic import atomic_write_bytes
from sqhw.errors import SqhwError
from sqhw.report.fault_results import FaultsResult, RateSample, Sample
from sqhw.report.plots import literal
from sqhw.report.size_plot import METADATA, check_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"ROMs": "#2a6f97", "feature maps": "#c8553d", "ROMs with check bits": "#588157"}


def plot_faults(result: FaultsResult, path: Path) -> None:
    """Draw accuracy over upset rate, and over the fields of all layers, and write it to a file.

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
    from matplotlib.figure import Figure

    protected = result.get("protected")
    curves: dict[str, Sequence[RateSample] | None] = {
        "ROMs": result.get("rates"),
        "feature maps": result.get("map_rates"),
        "ROMs with check bits": protected["rates"] if protected else None,
    }
    kind = protected["protection"] if protected else ""
    labels = {"ROMs with check bits": f"bits of the ROMs, {kind}"}
    drawn = {name: found for name, found in curves.items() if found}
    fields = result.get("fields") or []
    if not drawn and not fields:
        raise SqhwError(f"there is nothing to draw in {path}: no injections were asked for")
    figure = Figure(figsize=(11, max(4.0, 1 + 0.22 * len(fields))), layout="constrained")
    title = f"{result['network']}: {result['images']} images, {result['accuracy']:.2%} undamaged"
    figure.suptitle(literal(title), fontsize=11)
    left, right = figure.subplots(1, 2)
    for name, samples in drawn.items():
        _curve(left, name, samples, labels.get(name, f"bits of the {name}"))
    left.axhline(result["accuracy"], color="#888888", linewidth=0.8, linestyle="--")
    left.set(xscale="log" if drawn else "linear", xlabel="share of bits that flip", ylim=(0, 1))
    left.set(ylabel="accuracy (mean, 95 % interval)")
    if drawn:
        left.legend(loc="lower left")
    names = [literal(f"{one['layer']} {one['field']}") for one in fields]
    for at, one in enumerate(fields):
        _bar(right, at, one)
    right.set(xlabel="share of single flips that change a class (95 % interval)", xlim=(0, 1))
    right.set_yticks(range(len(names)), names, fontsize=7)
    right.invert_yaxis()
    buffer, suffix = io.BytesIO(), path.suffix.removeprefix(".")
    with rc_context({"svg.hashsalt": "sqhw"}):
        figure.savefig(buffer, format=suffix, dpi=120, metadata=METADATA[suffix])
    atomic_write_bytes(path, buffer.getvalue())


def _curve(axes: "Axes", name: str, samples: Sequence[RateSample], label: str) -> None:
    rates = [one["rate"] for one in samples]
    means = [one["accuracy"] for one in samples]
    lows = [one["accuracy_interval"][0] for one in samples]
    highs = [one["accuracy_interval"][1] for one in samples]
    axes.plot(rates, means, marker="o", color=COLOURS[name], label=label)
    axes.fill_between(rates, lows, highs, color=COLOURS[name], alpha=0.15)


def _bar(axes: "Axes", at: int, sample: Sample) -> None:
    low, high = sample["changed_interval"]
    axes.barh(at, sample["changed"], color="#5fa8d3")
    axes.plot([low, high], [at, at], color="#333333", linewidth=1)

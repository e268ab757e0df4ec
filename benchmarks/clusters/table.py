"""The table of the clusters."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.boards.study import PUBLISHED
from benchmarks.engine.table import markdown
from benchmarks.origin import sentence

TEXT = """# Engines of several cores on an LFE5U-85F

Output of `.venv/bin/python -m benchmarks.clusters`. Modelled / placed, every lane with a DSP block,
streams of fewest bits. The placed design has the shift register around the ports too; LUT, FF,
block RAM and DSP are those of the median placement. `MHz` is static timing: the model (`~`: outside
of what it was calibrated on), then least, median and most of the placements. `interval` are
cycles between two images when all cores are busy, predicted / measured in RTL (CXXRTL, with all
activations compared); a single engine runs in another bench, which starts its frames, and the
model of frames in flight is not its own. images/s are those of the median clock and the predicted
interval; they have pixels and results, a byte a cycle. ResNet-8 has 86.52 % on CIFAR-10;
fpgaConvNet's entry of MLPerf Tiny 86.0 %.
"""
HEAD = (
    "network, cores x lanes", "side by side", "LUT", "FF", "block RAM", "DSP", "MHz: model",
    "placed", "seeds", "interval", "images/s", "images/s per DSP",
)  # fmt: skip


def report_text(results: Mapping[str, Any]) -> str:
    """Return the page of a record."""
    rows = [_row(row) for row in results["rows"]]
    speed, dsps = PUBLISHED
    rows.append((
        "fpgaConvNet, ZedBoard, ResNet-8", "", "47,000", "", "93", str(dsps), "", "143", "", "",
        f"{speed:,}", f"{speed / dsps:.1f}",
    ))  # fmt: skip
    parts = [TEXT, sentence(results["measured_on"]), markdown(HEAD, rows)]
    failed = [
        f"{row['network']}, {row['cores']} x {row['lanes']}, seed {one['seed']}: {one['failed']}.\n"
        for row in results["rows"]
        for one in row["placed"]
        if "failed" in one
    ]
    return "\n".join([*parts, *failed])


def middle_of(placed: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the placement of the median clock, the lower of two; None without a placement."""
    done = sorted((one for one in placed if "failed" not in one), key=lambda one: one["mhz"])
    return done[(len(done) - 1) // 2] if done else None


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    model, middle = row["predicted"], middle_of(row["placed"])
    counts = [
        f"{model[name]:,} / {'-' if middle is None else format(middle[name], ',')}"
        for name in ("luts", "ffs", "brams", "dsps")
    ]
    clocks = [one["mhz"] for one in row["placed"] if "failed" not in one]
    spread = f"{min(clocks):.1f} {median(clocks):.1f} {max(clocks):.1f}" if clocks else "-"
    measured = row["cycles"]
    seen = "-" if measured is None else f"{measured['interval']:,.1f}"
    rate = None if middle is None else middle["mhz"] * 1e6 / model["interval"]
    return (
        f"{row['network']}, {row['cores']} x {row['lanes']}",
        str(row["batch"]),
        *counts,
        f"{'' if model['calibrated'] else '~'}{model['mhz']:.1f}",
        spread,
        str(len(clocks)),
        f"{model['interval']:,.1f} / {seen}",
        "-" if rate is None else f"{rate:,.0f}",
        "-" if rate is None or middle is None else f"{rate / middle['dsps']:.1f}",
    )

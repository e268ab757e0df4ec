"""The tables of RESULTS.md, from rows."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.simulator import equal
from benchmarks.simulator.cases import LISTED, ORT, PYTORCH
from benchmarks.simulator.layers import NEAR_BYTES
from benchmarks.simulator.rows import Record

HEAD = ("network", "runner", "images/s", "GMAC/s", "of peak", "x PyTorch", "x ORT int8", "MB")
PEER_HEAD = ("peer", "network", "images/s", "sqhw, dense", "sqhw, 10 %")
LAYER_HEAD = (
    "layers", "entries an output", "GMAC/s", "of peak", "of time", "loads", "products", "outputs",
)  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines) + "\n"


def network_rows(record: Record, peak: float) -> Iterator[tuple[str, ...]]:
    """Yield a row for each runner of a network."""
    seconds = {case["runner"]: case["seconds"] for case in record["cases"]}
    walls = {case["runner"]: case["wall"] for case in record["cases"]}
    for case in record["cases"]:
        label = case["runner"]
        speed = case["products"] / case["seconds"] / 1e9
        ratios = [
            f"{seconds[peer] / case['seconds']:.2f}" if peer in seconds else ""
            for peer in (PYTORCH, ORT)
        ]
        if label.endswith("2 threads"):
            one = walls[label.removesuffix(", 2 threads")]
            label += f" (wall x{one / case['wall']:.2f} of one)"
        memory = f"{case['memory'] / 1e6:.1f}" if case["memory"] else ""
        yield (record["network"], label, f"{1 / case['seconds']:.0f}", f"{speed:.1f}",
               f"{speed / peak:.0%}", *ratios, memory)  # fmt: skip


def peer_rows(records: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each peer that ran by itself, with how many times faster we are."""
    for record in records:
        if "missing" in record:
            yield record["peer"], f"not measured: {record['missing']}", "", "", ""
            continue
        ratios = [
            f"x{record['seconds'] / record[label]:,.1f}" if label in record else ""
            for label in ("sqhw 100%", f"sqhw {LISTED:.0%}")
        ]
        yield record["peer"], record["network"], f"{1 / record['seconds']:,.1f}", *ratios


def layer_rows(records: Sequence[Record], peak: float) -> Iterator[tuple[str, ...]]:
    """Yield a row for each kind of layer: the share of its time that each bound explains."""
    sums: dict[str, dict[str, float]] = {}
    for record in records:
        for layer in record["layers"]:
            kind = sums.setdefault(layer["kind"], dict.fromkeys((*layer, "number"), 0.0))
            for name, value in layer.items():
                if isinstance(value, float | int):
                    kind[name] += value
            kind["number"] += 1
    whole = sum(kind["seconds"] for kind in sums.values())
    for name, kind in sorted(sums.items(), key=lambda one: -one[1]["seconds"]):
        speed = kind["products"] / kind["seconds"] / 1e9
        shares = [
            kind[bound] / kind["seconds"] for bound in ("loads", "multiplications", "outputs")
        ]
        yield (name, f"{kind['entries'] / kind['number']:.1f}", f"{speed:.1f}",
               f"{speed / peak:.0%}", f"{kind['seconds'] / whole:.1%}",
               *(f"{share:.0%}" for share in shares))  # fmt: skip


def start_lines(record: Record) -> str:
    """Return what the start, an image and a long run take."""
    rows = [
        (label, *(f"{value:.2f}" for value in record[label][:2]), f"{record[label][2]:.0f}")
        for label in ("first start", "second start", "long run")
    ]
    text = table(("`sqhw simulate`, ResNet-20 at 10 %", "processor s", "s", "peak MB"), rows)
    count, call = record["long run's images"], record["overhead"]
    return (
        f"{text}The starts run 10 images and compare none; the long run has {count:,} images on "
        "all cores,\nthe first of them compared with PyTorch. A call of one image costs "
        f"{call * 1e6:.0f} us of Python.\n\n"
    )


def text(rows: dict[str, Any], processor: str, lanes: int, origin: str) -> str:
    """Return the whole file."""
    peak = rows["peak"]["peak"]
    head = (
        "# The simulator beside other programs, on one core\n\n"
        "Processor time, medians of interleaved rounds, the first left out. Weights are random, or "
        "those of a file in\nbenchmarks/compression/results. GMAC/s counts products of non-zero "
        "weights (of all weights for the other programs).\n`MB` is the memory for activations of a "
        "thread, whatever the number of images.\n"
        f"{processor}, vectors of {lanes}: a loop of float32 multiply-adds in registers reaches "
        f"{peak:.1f} GMAC/s, the peak here; one instruction\nof ours makes two products.\n\n"
        f"{origin}\n"
    )
    cases = [row for record in rows["networks"] for row in network_rows(record, peak)]
    parts = [head, table(HEAD, cases)]
    if rows["peers"]:
        parts.append(
            "## Peers that run by themselves\n\nRatios are how many times faster the simulator is, "
            "on the same network or topology, one thread each.\n\n"
            + table(PEER_HEAD, list(peer_rows(rows["peers"])))
        )
    if rows["starts"]:
        parts.append("## Start and memory\n\n" + start_lines(rows["starts"][0]))
    parts.append(
        f"## What bounds the layers at {LISTED:.0%}\n\n"
        "Shares of a layer's time that its loads, its multiplications of pairs and its outputs "
        "alone would take, by a count of\ninstructions (two loads and two multiplications a "
        "cycle). The largest is the bound. They overlap, so their sum\nmay pass 100 %. Time "
        f"beyond it is loads from beyond {NEAR_BYTES >> 10} KiB and ends of loops that the core "
        "does not foresee.\n\n" + table(LAYER_HEAD, list(layer_rows(rows["layers"], peak)))
    )
    return "".join(parts).rstrip() + "\n"


def equal_text(records: Sequence[Record], processor: str, origin: str) -> str:
    """Return the file on equality."""
    head = ("network", "values of all maps", *equal.TARGETS)
    start = (
        "# The simulator against the NumPy reference, by target\n\n"
        "Values of all maps of one image that are equal. Random weights at "
        f"{equal.DENSITY:.0%}. The code for a target\nruns on this machine, {processor}, where it "
        f"has the instructions.\n\n{origin}\n"
    )
    return start + table(head, list(equal.lines(records))).rstrip() + "\n"

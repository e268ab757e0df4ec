"""The table of a network, beside the published rows."""

from collections.abc import Sequence
from typing import Any

from benchmarks.compression.cases import CHECKPOINTS
from benchmarks.compression.published import PUBLISHED, Published
from benchmarks.compression.recount import recounted

HEAD = (
    "method", "epochs", "test %", "drop", "non-zero %", "bits", "payload", "as published", "stream",
    "own coding", "rom", "blocks",
)  # fmt: skip
LEGEND = """
Ratios to float32. `payload`: non-zeros times whole bits; `as published`: times the logarithm of the
number of values; `stream`: with positions and codebooks; `own coding`: the method's own Huffman
codes with their tables; `rom`: everything that the engine reads; `blocks`: block RAMs.
`epochs` are passes over the training split, in batches of the same size for all methods and with
the network before compression as teacher, but for SQL on LeNet-5, which has its authors' settings.
They are few: papers train ten times as long or more. `hardware` is this project's method; its rates
were chosen on these networks (on training loss and validation split), those of the others are
Adam's usual 0.001 or their authors'. `sqs` follows what is public, see docs/methods.md.
Rows whose names end in `-norm` normalise hidden layers while they train, as the papers' ResNets do,
by the means of `hardware` (decisions 40 and 58), and so do the rows of `hardware` that were
recorded in commit 2e407b5 or later. In all others normalisation is folded into the weights before.
`hardware` and `-norm` have a factor for each output channel of layers without a skip connection (a
gain, in the channel's record: not in payload and stream, but in rom and blocks).
The papers' networks keep their normalisation in floats, which no ratio of theirs counts.
Test accuracy is that of the engine's integers, activations of 8 bits, unless `floats` stands beside
it; the epoch was chosen on the validation split, by `hardware` on integers, by the others on real
activations. The checkpoints were trained on all training images, those of that split too, so
validation accuracies are near those of training. Every row is one run of one seed: by chance alone
10,000 images leave 0.10 points (one standard deviation) at 98.9 %, 0.29 at 91 %.

Rows in italics are the papers' figures. A drop in brackets is inferred here, from the error that
the source prints and the benchmark's checkpoint; `?` is not stated. Ratios with `~` are not the
papers': they are what a network of the printed share of weights and bits in every layer, at random
places and with all channels, would take on this engine. Where about 1 % stays, real networks lose
channels and crowd their weights, and take half of that or less: compare rows of networks. A
paper's file that is decoded as a whole before use stands under `own coding`.
"""


def heading(network: str, data: str, epochs: int) -> str:
    """Return the title of a table and the command that makes it, folders left open.

    Parameters
    ----------
    network : str
        Short name.
    data : str
        As `sqhw.data.load_dataset` takes it.
    epochs : int
    """
    kind, folder, _ = data.partition(":")
    models = " --models DIR" if network in CHECKPOINTS else ""
    command = (
        f"python -m benchmarks.compression --network {network}{models} "
        f"--data {kind}{folder and ':DIR'} --epochs {epochs}"
    )
    return f"# Compression of {network}\n\n    {command}\n\n"


def missing(labels: Sequence[str]) -> str:
    """Return the line on rows that have not been run, nothing if there are none."""
    return f"\nNot run: {', '.join(labels)}.\n" if labels else ""


def markdown(network: str, accounts: Sequence[dict[str, Any]]) -> str:
    """Return the table of a network in Markdown.

    Parameters
    ----------
    network : str
        Short name, for the published rows.
    accounts : sequence of dict
        At least one.
    """
    rows = [_row(account) for account in accounts]
    rows += [_published(network, row, accounts[0]) for row in PUBLISHED.get(network, ())]
    lines = [
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n\n" + _origins(accounts) + LEGEND


def _origins(accounts: Sequence[dict[str, Any]]) -> str:
    """Return a sentence on the commits that rows were recorded in."""
    rows: dict[str, list[str]] = {}
    for account in accounts:
        rows.setdefault(account["commit"], []).append(account["label"])
    told = "; ".join(f"{commit}: {', '.join(labels)}" for commit, labels in rows.items())
    return f"Recorded in commit {told}.\n"


def _row(account: dict[str, Any]) -> tuple[str, ...]:
    accuracy = account["accuracy"]
    test = accuracy.get("test", accuracy.get("test_float"))
    mark = "" if "test" in accuracy else " (floats)"
    drop = 100 * (accuracy["test_before"] - test)
    sizes = [
        _ratio(account["ratio"].get(basis))
        for basis in ("payload", "published", "stream", "own", "rom", "blocks")
    ]
    return (
        account["label"],
        str(len(account["history"])),
        f"{100 * test:.2f}{mark}",
        f"{drop:.2f}",
        f"{100 * account['density']:.2f}",
        f"{account['average_bits']:.2f}",
        *sizes,
    )


def _published(network: str, row: Published, account: dict[str, Any]) -> tuple[str, ...]:
    cells = dict.fromkeys(HEAD, "-")
    cells["method"] = f"*{row.method}*, {row.source}"
    drop = "?" if row.drop is None else f"{row.drop:.2f}"
    cells["drop"] = f"({drop})" if row.inferred else drop
    if row.density is not None and row.bits is not None:
        cells["non-zero %"], cells["bits"] = f"{100 * row.density:.2f}", f"{row.bits:.2f}"
        sizes = recounted(CHECKPOINTS[network][0], row.density, row.bits, account["device"])
        for basis in ("stream", "rom", "blocks"):
            cells[basis] = "~" + _ratio(account["float32"][basis] / sizes[basis])
    column = {"payload": "as published", "stream": "own coding", "file": "own coding"}[row.basis]
    cells[column] = f"{row.ratio:,g}x"
    return tuple(cells.values())


def _ratio(ratio: float | None) -> str:
    # Cut, not rounded: a ratio is never better than it says.
    return "-" if ratio is None else f"{int(10 * ratio) / 10:,}x"

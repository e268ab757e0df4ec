"""The table of a network, beside the published rows."""

from collections.abc import Sequence
from typing import Any

from benchmarks.compression.published import PUBLISHED

HEAD = (
    "method", "test %", "drop", "non-zero %", "bits", "payload", "as published", "stream",
    "own coding", "rom", "blocks",
)  # fmt: skip


def markdown(network: str, accounts: Sequence[dict[str, Any]]) -> str:
    """Return the table of a network in Markdown.

    Parameters
    ----------
    network : str
        Short name, for the published rows.
    accounts : sequence of dict
    """
    rows = [_row(account) for account in accounts]
    lines = [
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    for row in PUBLISHED.get(network, ()):
        cells = dict.fromkeys(HEAD, "")
        cells["method"] = f"*{row.method}*, {row.source}"
        cells["drop"] = f"{row.drop:.2f}"
        column = {"payload": "as published", "stream": "own coding", "file": "rom"}[row.basis]
        cells[column] = f"{row.ratio:,g}x"
        lines.append("| " + " | ".join(cells.values()) + " |")
    return "\n".join(lines) + "\n"


def _row(account: dict[str, Any]) -> tuple[str, ...]:
    accuracy = account["accuracy"]
    test = accuracy.get("test", accuracy.get("test_float"))
    mark = "" if "test" in accuracy else " (floats)"
    drop = 100 * (accuracy["test_before"] - test)
    sizes = [
        _ratio(account, basis)
        for basis in ("payload", "published", "stream", "own", "rom", "blocks")
    ]
    return (
        account["label"],
        f"{100 * test:.2f}{mark}",
        f"{drop:.2f}",
        f"{100 * account['density']:.2f}",
        f"{account['average_bits']:.2f}",
        *sizes,
    )


def _ratio(account: dict[str, Any], basis: str) -> str:
    ratio = account["ratio"].get(basis)
    # Cut, not rounded: a ratio is never better than it says.
    return "-" if ratio is None else f"{int(10 * ratio) / 10:,}x"

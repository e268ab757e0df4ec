"""Plots of accounts: per-layer sparsity, bits and ratio, and accuracy against size."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqhw.atomic import atomic_write_bytes, atomic_write_text
from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError, printable
from sqhw.report.results import AccountResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg")
BASES = ("payload", "stream", "rom", "blocks")
COLOURS = ("#3b6ea5", "#d1803a", "#4f9153", "#a2476b", "#7a6db0", "#8a8a3c", "#4aa0a8", "#777777")
DPI = 110
#: Smallest ratio of sizes for a logarithmic axis.
WIDE = 4
#: Largest number of layers with a label each.
MOST_LAYERS = 60


def write_report(accounts: Sequence[AccountResult], out: Path) -> None:
    """Write the plots of accounts to one file.

    Parameters
    ----------
    accounts : sequence of dict
        As `sqhw.size.account.Account.to_dict` returns them; at least one.
    out : Path
        ``.html`` for a page with tables, in one file. ``.png`` or ``.svg`` for one picture, which
        shows accuracy against size for several accounts, and the layers for one account.

    Raises
    ------
    SqhwError
        If the suffix is another one, matplotlib is not installed, or the file cannot be written.
    """
    check_report(out)
    if out.suffix == ".html":
        atomic_write_text(out, _page(accounts))
    else:
        figure = layer_figure(accounts[0]) if len(accounts) == 1 else size_figure(accounts)
        atomic_write_bytes(out, drawn(figure, out.suffix[1:]))


def check_report(out: Path) -> None:
    """Check the name of a file for plots.

    Raises
    ------
    SqhwError
        If its suffix is none that `write_report` takes, or matplotlib is not installed.
    """
    if out.suffix not in (".html", *PICTURES):
        raise SqhwError(f"{out}: plots are written as .html, .png or .svg")
    need_package("matplotlib", f"the plot {out}")


def layer_figure(account: AccountResult) -> "Figure":
    """Return the sparsity, bits and ratio of every layer, as in figure 3 of the SQS paper.

    The last panel shows the bits of each layer on a logarithmic axis: before compression, the
    payload, and all stored bits.
    """
    layers = [layer for layer in account["layers"] if layer["weights"]]
    names = [literal(layer["name"]) for layer in layers]
    width = max(6.4, min(20.0, 1.6 + 0.42 * len(layers)))
    figure = _figure(width, 8.2)
    panels = figure.subplots(4, 1, sharex=True)
    at = range(len(layers))
    sparsity = [100 * (1 - layer["nonzeros"] / layer["weights"]) for layer in layers]
    bits = [layer["bits"] for layer in layers]
    stored = [layer["rom"] or layer["stream"] for layer in layers]
    before = [32 * layer["weights"] for layer in layers]
    ratio = [dense / max(1, size) for dense, size in zip(before, stored, strict=True)]
    _bars(panels[0], at, sparsity, COLOURS[0], "zero weights, %", "{:.1f}")
    panels[0].set_ylim(0, 115)
    _bars(panels[1], at, bits, COLOURS[1], "bits a weight", "{:d}")
    panels[1].set_ylim(0, 1.25 * max([*bits, 1]))
    _bars(panels[2], at, ratio, COLOURS[2], "ratio, stored", "{:.0f}")
    panels[2].set_ylim(0, 1.25 * max([*ratio, 1]))
    kinds = (
        ("float32", before, COLOURS[7]),
        ("payload", [layer["payload"] for layer in layers], COLOURS[0]),
        ("rom" if layers and layers[0]["rom"] else "stream", stored, COLOURS[3]),
    )
    for index, (name, sizes, colour) in enumerate(kinds):
        places = [place + 0.27 * (index - 1) for place in at]
        panels[3].bar(places, [max(1, size) for size in sizes], 0.25, color=colour, label=name)
    panels[3].set_yscale("log")
    panels[3].set_ylabel("bits")
    panels[3].legend(fontsize=8, ncols=3, loc="upper left", bbox_to_anchor=(0, 1.28), frameon=False)
    step = -(-len(layers) // MOST_LAYERS)
    panels[3].set_xticks(list(at)[::step], names[::step], rotation=60, ha="right", fontsize=8)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(account), fontsize=11)
    return figure


def size_figure(accounts: Sequence[AccountResult]) -> "Figure":
    """Return accuracy against size, a panel for each basis, a colour for each method."""
    names_of = _series(accounts)
    figure = _figure(11.0, 8.2)
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

    panels = figure.subplots(2, 2)
    for panel, basis in zip(panels.flat, BASES, strict=True):
        for index, method in enumerate(dict.fromkeys(names_of)):
            points = sorted(
                (account["sizes"][basis], 100 * accuracy, account["label"])
                for account, name in zip(accounts, names_of, strict=True)
                if name == method
                and account["sizes"][basis]
                and (accuracy := best_accuracy(account)) is not None
            )
            if not points:
                continue
            colour = COLOURS[index % len(COLOURS)]
            sizes, values = [point[0] for point in points], [point[1] for point in points]
            panel.plot(
                sizes, values, "o-", color=colour, label=literal(method), markersize=5, linewidth=1
            )
            for size, value, label in points:
                if label != method:
                    panel.annotate(
                        literal(label),
                        (size, value),
                        (4, 4),
                        textcoords="offset points",
                        fontsize=6,
                    )
        found = [size for account in accounts if (size := account["sizes"][basis])]
        if found and max(found) > WIDE * min(found):
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        elif basis == "blocks":
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(f"{basis}, {'block RAMs' if basis == 'blocks' else 'bit'}")
        panel.set_ylabel(f"{_accuracy_name(accounts)}, %")
        panel.grid(alpha=0.3, which="both", linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    handles, names = panels[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    networks = ", ".join(dict.fromkeys(account["network"] for account in accounts))
    figure.suptitle(f"{literal(networks)}: accuracy against size", fontsize=11)
    return figure


def _series(accounts: Sequence[AccountResult]) -> list[str]:
    """Return the curve of each account: its method, and its device if the devices differ."""
    several = len({account["device"] for account in accounts}) > 1
    return [
        (account["method"] or account["label"]) + (f" for {account['device']}" if several else "")
        for account in accounts
    ]


#: Labels of accuracies in plots; an earlier one says more of the network than a later one.
ACCURACIES = {
    "test": "test accuracy",
    "test_accuracy": "test accuracy",
    "validation": "validation accuracy",
    "validation_accuracy": "validation accuracy",
    "validation_float": "validation accuracy of floats",
}


def best_accuracy(account: AccountResult) -> float | None:
    """Return the first accuracy of `ACCURACIES` that the account has, the test set first."""
    found = [name for name in ACCURACIES if name in account["accuracy"]]
    return float(account["accuracy"][found[0]]) if found else None


def _accuracy_name(accounts: Sequence[AccountResult]) -> str:
    """Return the label of the accuracies of a plot, with all their kinds."""
    found = [
        next((said for name, said in ACCURACIES.items() if name in account["accuracy"]), "")
        for account in accounts
    ]
    return " or ".join(dict.fromkeys(name for name in found if name)) or "accuracy"


def literal(text: str) -> str:
    """Return a name as text for matplotlib: ``$`` is literal, control characters are escaped."""
    return printable(text).replace("$", r"\$")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _bars(
    panel: "Axes", at: Sequence[int], values: Sequence[float], colour: str, label: str, form: str
) -> None:
    bars = panel.bar(at, values, 0.7, color=colour)
    if len(values) <= MOST_LAYERS / 2:
        panel.bar_label(bars, [form.format(value) for value in values], fontsize=7, padding=1)
    panel.set_ylabel(label)


def _title(account: AccountResult) -> str:
    title = f"{account['label']}: {account['network']}"
    if account["method"] and account["method"] != account["label"]:
        title += f" by {account['method']}"
    ratios = [
        f"{basis} {int(10 * ratio) / 10:,}x"  # cut, as in the tables
        for basis in BASES
        if (ratio := account["ratio"].get(basis)) is not None
    ]
    return f"{literal(title)}\n{', '.join(ratios)}"


def drawn(figure: "Figure", kind: str) -> bytes:
    """Return the bytes of a picture; the same figure gives the same bytes."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "sqhw"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _page(accounts: Sequence[AccountResult]) -> str:
    from sqhw.report.report_tables import account_lines

    parts = []
    if len(accounts) > 1:
        parts.append(_image(size_figure(accounts), "accuracy against size"))
    for account in accounts:
        table = html.escape("\n".join(map(printable, account_lines(account))))
        parts.append(f"<h2>{html.escape(printable(account['label']))}</h2>")
        parts.append(_image(layer_figure(account), f"layers of {account['label']}"))
        parts.append(f"<pre>{table}</pre>")
    title = html.escape(printable("sqhw: " + ", ".join(account["label"] for account in accounts)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font-family:sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}"
        "img{max-width:100%}pre{overflow-x:auto;background:#f5f5f5;padding:1rem}</style></head>"
        f"\n<body>\n<h1>{title}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _image(figure: "Figure", text: str) -> str:
    data = base64.b64encode(drawn(figure, "png")).decode()
    return f'<p><img alt="{html.escape(printable(text))}" src="data:image/png;base64,{data}"></p>'

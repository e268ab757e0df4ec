"""`python -m benchmarks.compression.layers`: a network layer by layer, beside published savings."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.compression.published import SAVED, SQS
from benchmarks.compression.runner import read_result
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.errors import SqhwError
from sqhw.report.plots import write_report

HEAD = (
    "layer", "weights", "zeros %", "bits", "ratio of payload", "ratio with positions",
    "saved payload %", "saved with positions %",
)  # fmt: skip
FLOAT_BITS = 32

app = typer.Typer(add_completion=False)


@app.command()
def main(
    result: Annotated[Path, typer.Argument(help="Row of the benchmark, a .json file.")],
    out: Annotated[Path, typer.Option(help="Folder of the table and of the figure.")] = Path(
        "build/benchmarks/compression/layers"
    ),
) -> None:
    """Print sparsity, bits and ratio of every layer of a row, and draw them."""
    try:
        account = read_result(result)
        text = markdown(account)
        folder = make_folder(out)
        write_report([account], folder / f"{account['network']}-{result.stem}.png")  # type: ignore[list-item]
        write_sealed_text(folder / f"{account['network']}-{result.stem}.md", text)
    except SqhwError as error:
        sys.stderr.write(f"benchmarks.compression.layers: {error}\n")
        raise typer.Exit(1) from None
    print(text)


def markdown(account: dict[str, Any]) -> str:
    """Return the table of a row's layers.

    Parameters
    ----------
    account : dict
        As `read_result` returns it.
    """
    layers = [layer for layer in account["layers"] if layer["weights"]]
    saved = SAVED.get(account["network"], ())
    if len(saved) != len(layers):  # a topology of other layers than the paper's
        saved = ()
    head = [*HEAD, *(["*SQS* saved %"] if saved else [])]
    lines = [
        f"# Layers of {account['network']}, row {account['label']}",
        "",
        "`ratio`: 32 bits for each weight, over non-zeros times their bits (payload), or over the",
        "stream with positions and codebook. `saved` is the same as a share.",
        *([f"*SQS* is figure 3 of {SQS}, by non-zeros and bits alone."] if saved else []),
        f"Recorded in commit {account['commit']}.",
        "",
        "| " + " | ".join(head) + " |",
        "| --- |" + " ---: |" * (len(head) - 1),
    ]
    for index, layer in enumerate(layers):
        cells = [layer["name"], f"{layer['weights']:,}", *_sizes(layer)]
        cells += [f"{saved[index]:.2f}"] if saved else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _sizes(layer: dict[str, Any]) -> list[str]:
    """Return zeros, bits, and both ratios and savings of a layer."""
    before = FLOAT_BITS * layer["weights"]
    sizes = (layer["payload"], layer["stream"])
    return [
        f"{100 * (1 - layer['nonzeros'] / layer['weights']):.2f}",
        str(layer["bits"]),
        *(f"{int(10 * before / size) / 10:,}x" if size else "-" for size in sizes),
        *(f"{100 * (1 - size / before):.2f}" for size in sizes),
    ]


if __name__ == "__main__":
    app()

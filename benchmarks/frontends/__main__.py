"""Run with ``python -m benchmarks.frontends --models DIR --cifar10 DIR --mnist DIR``."""

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.frontends.brevitas_rows import CASES as BREVITAS
from benchmarks.frontends.export_rows import CASES as EXPORTS
from benchmarks.frontends.onnx_rows import CASES as ONNX
from benchmarks.frontends.qonnx_rows import CASES as QONNX
from benchmarks.frontends.row import HEAD, Case, Sources
from benchmarks.frontends.style_rows import CASES as STYLES
from benchmarks.frontends.tflite_rows import CASES as TFLITE
from benchmarks.origin import commit
from benchmarks.seal import read_sealed_text, write_sealed_text
from sqhw.data import Dataset, load_dataset

#: Rows by name, in the order of the table.
CASES: dict[str, Case] = {**QONNX, **BREVITAS, **ONNX, **TFLITE, **EXPORTS, **STYLES}
#: Names that stand for several rows.
GROUPS = {"styles": tuple(STYLES)}
RESULTS = Path(__file__).parent / "RESULTS.md"
TEXT = """# Models from files

`python -m benchmarks.frontends --models DIR --cifar10 DIR --mnist DIR`: each model through its
front end, beside the program that runs the file itself. A float model is compared score by score, a
quantized one activation by activation. Programs: ONNX Runtime without graph optimisations; the
executor of QONNX (`--python qonnx=PYTHON`); the neutral graph in single precision; PyTorch for what
was exported from a module. Networks of Brevitas are exported by it (`--python brevitas=PYTHON`) and
compared in the programs that run such files. Of exported networks the import's scores are those of
the float walk in NumPy. Rows of networks exported as C, exact ONNX, QONNX and QDQ compare scores
with the simulator's; "in again" are the scores that differ after the import of the export.

The last rows are networks written from scratch in the styles that users have, with random weights
and images (`--only styles`): file, import, quantization without training or the file's integers,
simulator, RTL. Styles that the engine cannot run stand below with the sentence that refuses them.
The RTL runs in CXXRTL: in every image named, all activations equal the simulator's and the cycles
those predicted.

{table}
Empty cells were not measured. Rows may be of several runs (`--only`). Processor time varies by
machine.
"""


def main(
    models: Annotated[Path, typer.Option(help="Folder with the published models.")],
    cifar10: Annotated[Path, typer.Option(help="Folder with CIFAR-10's binary files.")],
    mnist: Annotated[Path, typer.Option(help="Folder with MNIST's IDX files.")],
    images: Annotated[int, typer.Option(help="Most test images of a row.", min=1)] = 10_000,
    only: Annotated[str, typer.Option(help="Names of rows with commas, to be replaced.")] = "",
    out: Annotated[Path, typer.Option(help="Table to write.")] = RESULTS,
    python: Annotated[
        list[str] | None,
        typer.Option(help="Python of brevitas or qonnx, as NAME=PATH; may be repeated."),
    ] = None,
) -> None:
    """Import models and write how equal they are to their sources."""

    @cache
    def data(name: str) -> Dataset:
        return load_dataset(f"{name}:{ {'cifar10': cifar10, 'mnist': mnist}[name] }")

    pythons = dict(entry.split("=", 1) for entry in python or ())
    sources = Sources(models, data, images, pythons)
    chosen = [row for name in only.split(",") for row in GROUPS.get(name, (name,))]
    chosen = chosen if only else list(CASES)
    rows = rows_of(out) if only else {}
    for name in chosen:
        row = CASES[name](sources)
        note(" | ".join(row.cells(commit())))
        rows[name] = [name, *row.cells(commit())]
    ordered = [rows[name] for name in CASES if name in rows]
    write_sealed_text(out, TEXT.format(table=markdown(["row", *HEAD], ordered)))


def rows_of(path: Path) -> dict[str, list[str]]:
    """Return the rows of a sealed table by name."""
    lines = read_sealed_text(path).splitlines() if path.is_file() else []
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return {row[0]: row for row in rows[2:]}


if __name__ == "__main__":
    typer.run(main)

"""`python -m benchmarks.compression`: one network, several methods, four size bases."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.compression.cases import CASES, cases, labelled, load_network
from benchmarks.compression.runner import finished, run_case
from benchmarks.compression.table import heading, markdown, missing
from benchmarks.engine.progress import note
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compiler.device_engine import engine_for
from sqhw.compress.methods.job import Job
from sqhw.cost_models.device import find_device
from sqhw.data import load_dataset
from sqhw.errors import SqhwError
from sqhw.network.input_stage import with_input_stage

app = typer.Typer(add_completion=False)


@app.command()
def main(
    network: Annotated[
        str, typer.Option(help="lenet5, resnet20, or the file of a float network.")
    ] = "lenet5",
    models: Annotated[Path | None, typer.Option(help="Folder with the checkpoints.")] = None,
    data: Annotated[str, typer.Option(help="mnist:DIR, cifar10:DIR or digits.")] = "digits",
    methods: Annotated[
        str, typer.Option(help="Names with commas between; by default all.")
    ] = ",".join(CASES),
    only: Annotated[str | None, typer.Option(help="Labels of rows, of all that there are.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data, of every method.", min=1)] = 30,
    out: Annotated[
        Path, typer.Option(help="Folder of results; a run that stopped goes on.")
    ] = Path("build/benchmarks/compression"),
    device: Annotated[str, typer.Option(help="For engine and block RAMs.")] = "LFE5U-85F",
    accelerator: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Cores.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Of order and augmentation.", min=0)] = 0,
) -> None:
    """Compress a network by several methods and print the table beside the published rows.

    The table has all rows that were run with these epochs, also by other calls.
    """
    try:
        short, trained = load_network(network, models)
        plan = cases(short, trained.float_bits, list(CASES), epochs, threads, seed)
        chosen = cases(short, trained.float_bits, methods.split(","), epochs, threads, seed)
        if only is not None:
            chosen = [labelled(chosen, label) for label in only.split(",")]
        target = find_device(device)
        engine = engine_for(target, with_input_stage(trained), levels=256)
        folder = make_folder(out / short)
        job = Job(trained, load_dataset(data), engine, target, accelerator=accelerator)
        for case in chosen:
            run_case(case, job, folder, note)
        found = {case.label: finished(case, job, folder) for case in plan}
    except SqhwError as error:
        sys.stderr.write(f"benchmarks.compression: {error}\n")
        raise typer.Exit(1) from None
    accounts = [row for row in found.values() if row is not None]
    text = heading(short, data, epochs) + markdown(short, accounts)
    text += missing([label for label, row in found.items() if row is None])
    atomic_write_text(folder / "RESULTS.md", text)
    print(text)


if __name__ == "__main__":
    app()

"""`python -m benchmarks.compression.cut`: a checkpoint of `sqhw train` small enough to keep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sqhw.compress.training.checkpoint import Checkpoint
from sqhw.errors import SqhwError

app = typer.Typer(add_completion=False)


@app.command()
def main(
    checkpoint: Annotated[Path, typer.Argument(help="File of `sqhw train --resume`.")],
    out: Annotated[Path, typer.Argument(help="File to write; `--resume` takes it.")],
) -> None:
    """Write a checkpoint's weights as bfloat16, without optimizer and best network."""
    try:
        Checkpoint.open(checkpoint).cut().write(out)
    except SqhwError as error:
        sys.stderr.write(f"benchmarks.compression.cut: {error}\n")
        raise typer.Exit(1) from None
    before, after = (path.stat().st_size for path in (checkpoint, out))
    print(f"{checkpoint}: {before:,} byte; {out}: {after:,} byte")


if __name__ == "__main__":
    app()

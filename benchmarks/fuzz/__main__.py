"""Run with ``python -m benchmarks.fuzz``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.fuzz.readers import READERS
from benchmarks.fuzz.runner import MEMORY, SECONDS, Outcome, fuzz
from benchmarks.origin import commit
from benchmarks.seal import read_sealed_text, write_sealed_text

TEXT = """# Mutated files

`python -m benchmarks.fuzz --files {files} --seed {seed}`: each reader is fed mutations of a
valid file: flipped bits, cuts, repetitions, random bytes; values of JSON and TOML replaced by ones
of other types, huge numbers, deep nesting; headers of safetensors; and, of files with a checksum,
content that was changed and signed anew. A refusal is one sentence. What is read goes on to what
the commands do with it (compiling, counting, simulating), which may refuse it.

{table}
A failure is an exception of another kind, a sentence of more than 2,000 characters, more than
{seconds} s or {memory} GiB for a file, or, of a file with a checksum (the first three), content
that differs without a refusal; there, what is read differently was signed anew. Files without a
checksum are read differently where the mutation gives another valid file. Processor time and
growth of the process vary by machine. The mutations of a reader depend on the seed and on its name
alone: rows may be of several runs (`--only`). A row that names a range of commits was measured
in one commit of that range, one reader at a time.
"""
RESULTS = Path(__file__).parent / "RESULTS.md"
SHOWN = 3  # most failures of a reader that are printed


def main(
    files: Annotated[int, typer.Option(help="Mutated files of each reader.", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    only: Annotated[str, typer.Option(help="One reader, whose row is replaced in the table.")] = "",
    out: Annotated[Path, typer.Option(help="Table to write.")] = RESULTS,
) -> None:
    """Feed mutated files to every reader and write what became of them."""
    outcomes = []
    for reader in READERS:
        if only in ("", reader.name):
            found = fuzz(reader, files, seed)
            note(f"{found.reader}: {found.files} files, {len(found.failures)} failures")
            for failure in found.failures[:SHOWN]:
                note(failure)
            outcomes.append(found)
    kept = rows_of(out) if only else {}
    if only and not kept:
        raise typer.BadParameter(f"{out} has no table of all readers yet", param_hint="--only")
    rows = kept | {found.reader: _row(found) for found in outcomes}
    write_sealed_text(out, report(list(rows.values()), files, seed))
    raise typer.Exit(any(found.failures or found.files < files for found in outcomes))


def report(rows: Sequence[Sequence[str]], files: int, seed: int) -> str:
    """Return the text with the table."""
    head = [
        "reader", "files", "refused", "read equal", "read differently", "then used",
        "failures", "slowest, s", "memory, MiB", "measured on commit",
    ]  # fmt: skip
    return TEXT.format(
        files=files,
        seed=seed,
        table=markdown(head, rows),
        seconds=f"{SECONDS:.0f}",
        memory=MEMORY >> 30,
    )


def _row(found: Outcome) -> list[str]:
    counts = (found.files, found.refused, found.equal, found.different, found.used)
    return [
        found.reader,
        *(f"{count:,}" for count in (*counts, len(found.failures))),
        f"{found.slowest:.2f}",
        f"{found.memory / (1 << 20):.0f}",
        commit(),
    ]


def rows_of(path: Path) -> dict[str, list[str]]:
    """Return the rows of a sealed table by reader."""
    lines = read_sealed_text(path).splitlines() if path.is_file() else []
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return {row[0]: row for row in rows[2:]}


if __name__ == "__main__":
    typer.run(main)

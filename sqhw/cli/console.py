"""Progress bars on standard error, results on standard output."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqhw.errors import SqhwError, printable
from sqhw.steps.progress import Progress

#: Seconds between lines of progress where there is no terminal.
QUIET = 20.0


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield a function ``(stage, done, total, detail)`` that draws a bar for each stage."""
    from rich.console import Console  # its import is slow, and quick commands draw no bars
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    status = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Bars(*columns, console=status, disable=not status.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        said = [time.monotonic()]

        def report(stage: str, done: int, total: int, detail: str) -> None:
            stage, detail = printable(stage), printable(detail)
            begins = stage not in tasks and done == 0
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, detail=detail)
            late = time.monotonic() > said[0] + QUIET
            if not status.is_terminal and (begins or done >= total or late):
                said[0] = time.monotonic()
                status.print(f"{stage} {done}/{total} {detail}", highlight=False, markup=False)
            bars.update(tasks[stage], completed=done, total=total, detail=detail)

        yield report


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show a spinner on a terminal during work of unknown length."""
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _lines(lines: list[str]) -> str:
    """Return lines for a terminal; names in them may have any character but a line break."""
    return "".join(f"{printable(line)}\n" for line in lines)


def emit(result: Mapping[str, object], as_json: bool, lines: list[str]) -> None:
    """Print a result: the JSON object, or the lines for a human.

    Raises
    ------
    SqhwError
        If standard output cannot take it. Files that the command wrote are then complete.
    """
    text = json.dumps(result, indent=2) + "\n" if as_json else _lines(lines)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        raise
    except OSError as error:
        raise SqhwError(f"cannot write to standard output: {error.strerror or error}") from None

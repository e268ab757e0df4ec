"""Progress bars on standard error, results on standard output."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[str, int, int, str], None]

status = Console(stderr=True)
#: Seconds between lines of progress where there is no terminal.
QUIET = 20.0


@contextmanager
def progress() -> Iterator[Report]:
    """Give a function ``(stage, done, total, detail)`` that draws a bar for each stage."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=status, disable=not status.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        said = [time.monotonic()]

        def report(stage: str, done: int, total: int, detail: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, detail=detail)
            if not status.is_terminal and (done >= total or time.monotonic() > said[0] + QUIET):
                said[0] = time.monotonic()
                status.print(f"{stage} {done}/{total} {detail}", highlight=False)
            bars.update(tasks[stage], completed=done, total=total, detail=detail)

        yield report


def emit(result: dict[str, Any], as_json: bool, lines: list[str]) -> None:
    """Print a result: the JSON object, or the lines for a human."""
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for line in lines:
            sys.stdout.write(line + "\n")

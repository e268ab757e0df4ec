"""What the command line adds to sweeps: the checks of its options, and tables."""

from functools import cache
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command

from sqhw.cli.signature import add_command
from sqhw.errors import SqhwError
from sqhw.report.columns import columns

if TYPE_CHECKING:  # these imports take a second
    from sqhw.sweep.report import FrontResult
    from sqhw.sweep.run import SweepResult

#: Failures and rows of a front that are printed.
MAX_FAILURES, MAX_ROWS = 10, 20


def check_option(step: str, name: str, value: Any) -> None:
    """Check a value of a spec as the command line checks that of the step's option.

    Raises
    ------
    SqhwError
        With the range that is allowed, or the names.
    """
    command = _command(step)
    (parameter,) = (one for one in command.params if one.name == name)
    words = value if isinstance(value, list) else str(value)
    try:
        parameter.process_value(typer.Context(command), words)
    except typer.BadParameter as error:
        raise SqhwError(error.message) from None


@cache
def _command(step: str) -> Any:
    """Return the command of a step, which does nothing."""
    from sqhw.sweep.swept import find_step

    app = typer.Typer(add_completion=False)
    add_command(app, find_step(step).options, step)(lambda options, as_json: None)
    return get_command(app)


def sweep_lines(result: "SweepResult") -> list[str]:
    """Return the lines of `sqhw sweep`."""
    counts = [
        (result["computed"], "computed"),
        (result["found"], "were there"),
        (result["failed"], "failed"),
    ]
    parts = ", ".join(f"{number:,} {what}" for number, what in counts if number)
    lines = [f"{result['points']:,} points of {result['step']} in {result['out']}: {parts}"]
    if result["computed"]:
        mean = result["point_seconds"] / result["computed"]
        lines.append(f"  {result['wall_seconds']:.1f} s; a point took {mean:.3f} s in its worker")
    if result["workers_lost"]:
        lines.append(f"  {result['workers_lost']} workers were lost, their points begun again")
    for failure in result["failures"][:MAX_FAILURES]:
        lines.append(f"  {failure['address']}: {failure['error']}")
    if result["failed"] > MAX_FAILURES:
        lines.append(f"  and {result['failed'] - MAX_FAILURES:,} more, see its folder failures")
    if result["failed"]:
        lines.append("  --retry computes them again")
    return lines


def front_lines(result: "FrontResult") -> list[str]:
    """Return the lines of `sqhw report` for a sweep."""
    lines = [f"{result['points']:,} points, {result['failed']:,} failed"]
    for front in result["fronts"]:
        rows = [("point", front["gain"], front["cost"])]
        for one in front["points"][:MAX_ROWS]:
            rows.append((one["address"], _number(one["gain"]), _number(one["cost"])))
        lines += ["", f"{front['task']}: {front['gain']} against {front['cost']}", *columns(rows)]
        if len(front["points"]) > MAX_ROWS:
            lines.append(f"  and {len(front['points']) - MAX_ROWS:,} more")
    return [*lines, "", f"wrote {result['file']}"]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"

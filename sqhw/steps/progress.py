"""The progress of a step."""

from collections.abc import Callable

#: Function of the stage, the units done, all units, and a detail to show beside them.
Progress = Callable[[str, int, int, str], None]


def silent(stage: str, done: int, total: int, detail: str) -> None:
    """Show no progress."""

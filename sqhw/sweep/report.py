"""`sqhw report` of the folder of a sweep: fronts, and a page with all points."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypedDict

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError
from sqhw.files.plain import field_of, located
from sqhw.sweep.front import pairs_of, pareto_front
from sqhw.sweep.store import Store

#: Keys of a point that a row of the page has under the names of figures.
KEPT = ("address", "step", "command")
#: Place in the page that the data replace.
PLACE = "/*DATA*/"


class FrontPoint(TypedDict):
    """A point of a front."""

    address: str
    gain: float
    cost: float


class Front(TypedDict):
    """A front of the points of one network and data set; ``gain`` and ``cost`` name figures."""

    task: str
    gain: str
    cost: str
    points: list[FrontPoint]


class FrontResult(TypedDict):
    """Result of `sqhw report` of a sweep."""

    folder: str
    points: int
    failed: int
    fronts: list[Front]
    file: str


def report_sweep(folder: Path, out: Path) -> FrontResult:
    """Return the fronts of a sweep and write a page with its points.

    Parameters
    ----------
    folder : path
        Folder of a sweep.
    out : path
        Page to write: one file that needs no other.

    Raises
    ------
    SqhwError
        If the folder has no points, a file in it is damaged, or the page cannot be written.
    """
    store = Store.at(folder)
    rows = [_row(record, store.points / record["address"]) for record in store.records()]
    failures = [
        {name: one.get(name) for name in ("address", "command", "error")}
        for one in store.failures()
    ]
    if not rows and not failures:
        raise SqhwError(f"{folder} has no points yet")
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(row)
    fronts: list[Front] = []
    for task, points in tasks.items():
        for gain, cost in pairs_of(points):
            found = pareto_front(points, (gain, cost))
            for row in found:
                row["fronts"].append(cost)
            listed = [FrontPoint(address=r["address"], gain=r[gain], cost=r[cost]) for r in found]
            fronts.append(Front(task=task, gain=gain, cost=cost, points=listed))
    pairs = {task: pairs_of(points) for task, points in tasks.items()}
    atomic_write_text(out, page({"rows": rows, "failures": failures, "pairs": pairs}))
    return {
        "folder": str(folder),
        "points": len(rows),
        "failed": len(failures),
        "fronts": fronts,
        "file": str(out),
    }


def page(data: Mapping[str, Any]) -> str:
    """Return a page that shows data, whatever texts they have."""
    template = resources.files("sqhw.sweep").joinpath("page.html").read_text(encoding="utf-8")
    # Within a script element only the beginning of a tag would be read as such.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    before, after = template.split(PLACE)
    return before + text + after


def _row(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return options and figures of a point as one row."""
    with located(folder):
        options = field_of(record, "options", dict)
        figures = field_of(record, "figures", dict)
        row = {name: field_of(record, name, str) for name in KEPT}
    chosen = {f"option.{name}": value for name, value in options.items() if value is not None}
    task = " on ".join(filter(None, (str(figures.get("network")), options.get("data"))))
    return {**figures, **chosen, **row, "task": task, "fronts": []}

"""The work of a sweep's processes: points in, files out.

What travels between driver and workers is JSON text. Results stay in the folder, which all see.
"""

import json
import os
import shutil
import threading
import time
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, cast

from sqhw.errors import SqhwError
from sqhw.sweep import inputs
from sqhw.sweep.figures import network_figures, size_figures
from sqhw.sweep.point import Point
from sqhw.sweep.store import NETWORK, Store
from sqhw.sweep.swept import find_step
from sqhw.sweep.versions import check_versions, versions

#: Error numbers of a full disk.
NO_ROOM = ("ENOSPC", "EDQUOT")
#: Lock of the points of a process: seeds of PyTorch are the process's.
_one_at_a_time = threading.Lock()


class Outcome(TypedDict):
    """What became of a point; ``stop`` says that no further point can be written."""

    address: str
    seconds: float
    error: str | None
    stop: bool


def run_points(root: str, texts: list[str]) -> str:
    """Compute points and write each to the folder as soon as it is done.

    Parameters
    ----------
    root : str
        Folder of the sweep.
    texts : list of str
        Points as JSON texts.

    Returns
    -------
    str
        List of `Outcome` as JSON, up to the first that stops the sweep.

    Raises
    ------
    SqhwError
        Before the first point, if versions differ from those of the points, or the folder is not
        there.
    """
    points = [Point.from_text(text) for text in texts]
    for expected in {json.dumps(point.versions) for point in points}:
        check_versions(versions(), json.loads(expected), f"the worker on {os.uname().nodename}")
    store = _store(root)
    outcomes: list[Outcome] = []
    for point in points:
        with _one_at_a_time:
            outcomes.append(run_point(store, point))
        if outcomes[-1]["stop"]:
            break
    return json.dumps(outcomes)


def run_point(store: Store, point: Point) -> Outcome:
    """Compute a point, unless it is there; an error is written instead of a result."""
    start, address = time.perf_counter(), point.address
    error, stop = None, False
    try:
        if not store.has(address):
            folder = store.begin()
            try:
                _check_inputs(point)
                result, figures = compute(point, folder)
                figures["seconds"] = time.perf_counter() - start
                store.finish(folder, point, figures, result)
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # nothing is there after the renaming
    except Exception as problem:
        known = isinstance(problem, SqhwError)
        error = str(problem) if known else f"{type(problem).__name__}: {problem}"
        stop = _is_no_room(problem)
        try:
            if not stop:
                store.fail(point, error, "" if known else traceback.format_exc())
        except SqhwError as second:
            error, stop = f"{error}; {second}", True
    return Outcome(address=address, seconds=time.perf_counter() - start, error=error, stop=stop)


def compute(point: Point, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the step of a point; return its result and its figures.

    Parameters
    ----------
    point : Point
    folder : path
        Where the network is written, if the step writes one.

    Raises
    ------
    SqhwError
        As the step does.
    """
    step = find_step(point.step)
    values = {
        name: Path(value) if step.keys[name] is Path else value
        for name, value in point.options.items()
    }
    if step.writes_network:
        values["out"] = folder / NETWORK
    options = step.options(**values)
    if step.name == "size":
        from sqhw.steps.size import size_network

        result = cast(dict[str, Any], size_network(options))
        return result, size_figures(result)
    from sqhw.frontends.torch_module.threads import torch_threads

    with torch_threads(point.options.get("threads", 1)):
        result = _network(step.name, options)
    del result["file"]  # it is renamed
    return result, network_figures(result, folder / NETWORK, options)


def _network(name: str, options: Any) -> dict[str, Any]:
    if name == "compress":
        from sqhw.steps.compress import compress

        return cast(dict[str, Any], compress(options))
    from sqhw.steps.quantize import quantize

    return cast(dict[str, Any], quantize(options))


@cache
def _store(root: str) -> Store:
    try:
        return Store.at(Path(root))
    except SqhwError as error:
        raise SqhwError(
            f"the worker on {os.uname().nodename} does not see the folder of the sweep: {error}"
        ) from None


def _check_inputs(point: Point) -> None:
    """Check that the files are still those of which the point has the digests."""
    found: Mapping[str, str] = inputs.digests(find_step(point.step), point.options)
    changed = [name for name in point.inputs if found.get(name) != point.inputs[name]]
    if changed:
        raise SqhwError(
            f"{point.options[changed[0]]} is another file here than when the sweep began; "
            "start the sweep again"
        )


def _is_no_room(problem: BaseException | None) -> bool:
    """Return whether a full disk is the cause of an error, under whatever wrapping."""
    import errno

    numbers = {getattr(errno, name) for name in NO_ROOM}
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in numbers:
            return True
        problem = problem.__cause__ or problem.__context__
    return False

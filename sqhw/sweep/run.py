"""`sqhw sweep`: computes the points of a spec."""

import os
import time
from collections.abc import Callable, Iterator
from typing import NotRequired, TypedDict

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError
from sqhw.steps.options import SweepOptions
from sqhw.steps.progress import Progress, silent
from sqhw.sweep.dask_place import dask_place
from sqhw.sweep.driver import Driver, Tally
from sqhw.sweep.executors import Place, local_place, submitit_place
from sqhw.sweep.point import Point, make_point
from sqhw.sweep.space import MAX_POINTS
from sqhw.sweep.spec import Spec
from sqhw.sweep.store import Store
from sqhw.sweep.versions import versions


class Failure(TypedDict):
    """A point that failed."""

    address: str
    error: str


class SweepResult(TypedDict):
    """Result of `sqhw sweep`: numbers of points; times are in seconds."""

    out: str
    step: str
    points: int
    computed: int
    found: int
    failed: int
    workers_lost: int
    wall_seconds: float
    point_seconds: float
    failures: list[Failure]
    note: NotRequired[str]


def sweep(spec: Spec, options: SweepOptions, progress: Progress = silent) -> SweepResult:
    """Compute the points of a sweep that are not in the folder yet.

    Parameters
    ----------
    spec : Spec
        See `sqhw.sweep.read_spec`.
    options : SweepOptions
        Its `spec` is not read again.
    progress : callable

    Raises
    ------
    SqhwError
        If the space is too large, the folder is of another version or no sweep's, a scheduler does
        not answer, a worker has other versions, or the disk is full.
    """
    size = spec.space.size
    if size > MAX_POINTS and not options.yes:
        raise SqhwError(
            f"the space has {size:,} points, more than {MAX_POINTS:,}; repeat with --yes to "
            "compute them"
        )
    if options.dask is not None and options.submitit is not None:
        raise SqhwError("name one of --dask and --submitit")
    current = versions()
    store = Store.create(options.out, current)
    atomic_write_text(store.root / "specs" / f"{spec.name}-{spec.digest}.toml", spec.text)
    start = time.monotonic()
    open_place = place_opener(spec, options, store)
    if spec.search is not None and spec.search.sampler == "optuna":
        from sqhw.sweep.search import run_search

        tally = run_search(spec, store, open_place, retry=options.retry, progress=progress)
    else:
        driver = Driver(store, open_place, size, retry=options.retry, progress=progress)
        tally = driver.run(_points(spec, current))
    return _result(spec, store, tally, time.monotonic() - start)


def place_opener(spec: Spec, options: SweepOptions, store: Store) -> Callable[[], Place]:
    """Return a function that opens the place where points are computed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = options.jobs or max(1, (cores or 1) // _threads(spec))
    dask, cluster = options.dask, options.submitit
    if dask is not None:
        return lambda: dask_place(dask, options.wait)
    if cluster is not None:
        return lambda: submitit_place(store.root / "submitit", cluster, jobs, spec.submitit)
    return lambda: local_place(jobs)


def _threads(spec: Spec) -> int:
    """Return the threads of a point, if they are the same for all; else 1."""
    return int(spec.space.fixed.get("threads", 1))


def _points(spec: Spec, current: dict[str, str]) -> Iterator[Point]:
    for values in spec.space:
        yield make_point(spec.step, values, current)


def _result(spec: Spec, store: Store, tally: Tally, seconds: float) -> SweepResult:
    return {
        "out": str(store.root),
        "step": spec.step.name,
        "points": tally.points,
        "computed": tally.computed,
        "found": tally.found,
        "failed": tally.failed,
        "workers_lost": tally.deaths,
        "wall_seconds": seconds,
        "point_seconds": tally.seconds,
        "failures": [Failure(address=f["address"], error=f["error"]) for f in tally.failures],
    }

"""The driver of a sweep: hands points to workers, and counts what became of them.

It keeps only the tasks in flight, so that its memory does not grow with the space.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Future,
    wait,
)
from dataclasses import dataclass, field
from itertools import chain, islice
from textwrap import shorten

from sqhw.errors import SqhwError
from sqhw.steps.progress import Progress, silent
from sqhw.sweep.executors import Place
from sqhw.sweep.point import Point
from sqhw.sweep.store import Store
from sqhw.sweep.worker import Outcome, run_points

#: Tasks in flight for each worker: one runs, and one waits so that no worker does.
TASKS_PER_WORKER = 2
#: Most points of a task, and most of a job of submitit.
MAX_TASK_POINTS, MAX_JOB_POINTS = 256, 5000
#: Failures that a result lists; the folder has all of them.
MAX_LISTED = 100
#: Most characters of what an executor says of a lost worker.
MAX_REASON = 300
#: Seconds between looks at the folder for the progress.
LOOK_SECONDS = 1.0
#: Ends of all tasks of a place: a process of the pool died, or the scheduler was lost.
BREAKS = (BrokenExecutor, CancelledError)
#: Times that a point is begun whose worker dies; from the second one on in a task of its own.
MAX_ATTEMPTS = 3


@dataclass
class Tally:
    """What became of the points of a sweep.

    Parameters
    ----------
    points : int
        Number of points of the space.
    computed, found, failed : int
        Points that were computed now, were there, and failed now or earlier.
    seconds : float
        Time that the computed points took in their workers.
    deaths : int
        Number of tasks whose worker was lost.
    failures : list of dict
        ``address`` and ``error`` of the first that failed.
    """

    points: int
    computed: int = 0
    found: int = 0
    failed: int = 0
    seconds: float = 0.0
    deaths: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Return the points of which the end is known."""
        return self.computed + self.found + self.failed

    def fail(self, address: str, error: str) -> None:
        """Count a failure."""
        self.failed += 1
        if len(self.failures) < MAX_LISTED:
            self.failures.append({"address": address, "error": error})


class Driver:
    """Runs points at a place.

    Parameters
    ----------
    store : Store
    open_place : callable
        Returns a `Place`; called again when the place is broken.
    points : int
        Number of points, for the progress.
    retry : bool
        Whether points that failed earlier are computed again.
    progress : callable
    ended : callable, optional
        Called with the address of each point whose end is known, and its error or None.
    single : bool
        Whether each task is one point, because the next points depend on its result.
    """

    def __init__(
        self,
        store: Store,
        open_place: Callable[[], Place],
        points: int,
        *,
        retry: bool = False,
        progress: Progress = silent,
        ended: Callable[[str, str | None], object] | None = None,
        single: bool = False,
    ) -> None:
        self.store = store
        self.tally = Tally(points)
        self._ended, self._single = ended, single
        self._open_place, self._retry, self._progress = open_place, retry, progress
        self._flight: dict[Future[str], list[Point]] = {}
        self._suspects: deque[Point] = deque()
        self._again: deque[list[Point]] = deque()
        self._attempts: dict[str, int] = {}

    def run(self, points: Iterable[Point]) -> Tally:
        """Compute all points that are not there.

        Raises
        ------
        SqhwError
            If the folder cannot be written, a worker has other versions, or a scheduler was lost.
            Points that are done are kept, and the message says how many.
        """
        try:
            return self._run(points)
        except SqhwError as error:
            done = self.tally.computed + self.tally.found
            if not done:
                raise
            raise SqhwError(
                f"{error}; {done:,} of {self.tally.points:,} points are there, and the same "
                "command computes the rest"
            ) from None

    def _run(self, points: Iterable[Point]) -> Tally:
        fresh = self._fresh(points)
        first = next(fresh, None)
        if first is None:  # no worker is needed
            self._show()
            return self.tally
        rest = chain([first], fresh)
        place = self._open_place()
        self._show()
        try:
            while True:
                self._fill(place, rest)
                if not self._flight:
                    return self.tally
                if self._collect(place):
                    place.close()
                    place = self._open_place()
        finally:
            place.close()

    def _fresh(self, points: Iterable[Point]) -> Iterator[Point]:
        """Yield the points that are to be computed; count the others."""
        for point in points:
            address = point.address
            if self.store.has(address):
                self.tally.found += 1
                self._tell(address, None)
            elif not self._retry and (error := self.store.failure(address)) is not None:
                self._fail(address, error)
            else:
                yield point

    def _tell(self, address: str, error: str | None) -> None:
        if self._ended is not None:
            self._ended(address, error)

    def _compute(self, address: str, seconds: float) -> None:
        self.tally.computed += 1
        self.tally.seconds += seconds
        self._tell(address, None)

    def _fail(self, address: str, error: str) -> None:
        self.tally.fail(address, error)
        self._tell(address, error)

    def _fill(self, place: Place, rest: Iterator[Point]) -> None:
        """Start tasks while workers are free."""
        if self._suspects:  # a point that ends its worker must not take others along again
            if not self._flight:
                self._start(place, [self._suspects.popleft()])
            return
        # Jobs that start slowly get their share at once, and none waits in front of them.
        most = place.workers * (1 if place.whole or self._single else TASKS_PER_WORKER)
        while len(self._flight) < most:
            if self._again:
                self._start(place, self._again.popleft())
                continue
            points = list(islice(rest, self._task_points(place)))
            if not points:
                return
            self._start(place, points)

    def _start(self, place: Place, points: list[Point]) -> None:
        texts = [json.dumps(point.to_dict()) for point in points]
        try:
            future = place.executor.submit(run_points, str(self.store.root), texts)
        except BrokenExecutor as error:  # of a worker that has died since
            future = Future()
            future.set_exception(error)
        self._flight[future] = points

    def _task_points(self, place: Place) -> int:
        """Return the number of points of the next task."""
        if self._single:
            return 1
        if place.whole:
            left = self.tally.points - self.tally.done - self._in_flight()
            free = max(1, place.workers - len(self._flight))
            return min(max(1, -(-left // free)), MAX_JOB_POINTS)
        if not self.tally.computed:
            return 1
        mean = max(1e-6, self.tally.seconds / self.tally.computed)
        return max(1, min(int(place.task_seconds / mean), MAX_TASK_POINTS))

    def _in_flight(self) -> int:
        return sum(map(len, self._flight.values()))

    def _collect(self, place: Place) -> bool:
        """Wait for a task; return whether the place is broken."""
        while not (ended := wait(self._flight, LOOK_SECONDS, FIRST_COMPLETED).done):
            place.check()
            self._show(look=True)
        broken = False
        for future in ended:
            points = self._flight.pop(future)
            try:
                outcomes: list[Outcome] = json.loads(future.result())
            except SqhwError:
                raise  # of versions or the folder, before a point was begun
            except Exception as error:
                broken = isinstance(error, BREAKS) or broken
                self._lost(points, error)
            else:
                self._count(outcomes)
        self._show()
        return broken

    def _count(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome["stop"]:
                raise SqhwError(f"{self.store.root}: no further point: {outcome['error']}")
            if outcome["error"] is None:
                self._compute(outcome["address"], outcome["seconds"])
            else:
                self._fail(outcome["address"], outcome["error"])

    def _lost(self, points: list[Point], error: Exception) -> None:
        """Count the points of a task that its worker had done, and put the others back."""
        self.tally.deaths += 1
        left = [point for point in points if not self._has_ended(point)]
        if not left:
            return
        begun, rest = left[0], left[1:]  # the worker takes its points one after the other
        if rest:
            self._again.append(rest)
        attempts = self._attempts[begun.address] = self._attempts.get(begun.address, 0) + 1
        if attempts >= MAX_ATTEMPTS:
            text = shorten(str(error), MAX_REASON, placeholder=" ...")  # it may cite a log
            reason = f"its worker died {MAX_ATTEMPTS} times ({type(error).__name__}: {text})"
            self.store.fail(begun, reason, "")
            self._fail(begun.address, reason)
        elif isinstance(error, BrokenExecutor):  # any point in flight may have ended the pool
            self._suspects.append(begun)
        else:
            self._again.append([begun])

    def _has_ended(self, point: Point) -> bool:
        """Return whether a worker that was lost had ended a point, and count it."""
        if self.store.has(point.address):
            self._compute(point.address, 0.0)
            return True
        error = self.store.failure(point.address)
        # With `retry` it may be the error of an earlier run.
        if error is None or self._retry:
            return False
        self._fail(point.address, error)
        return True

    def _show(self, *, look: bool = False) -> None:
        tally = self.tally
        done = tally.done
        if look:  # points of tasks that have not ended
            flying = (point.address for points in self._flight.values() for point in points)
            done += sum(map(self.store.has, flying))
        detail = f"{tally.found} were there" if tally.found else ""
        if tally.failed:
            detail += f"{', ' if detail else ''}{tally.failed} failed"
        self._progress("sweep", min(done, tally.points), tally.points, detail)

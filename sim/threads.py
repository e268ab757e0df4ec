"""Threads that stay, and work that they share with the caller, piece by piece.

The caller takes pieces itself, so that it never waits for a thread to wake up. A piece is taken by
whoever is free: a core that other programs slow down gets fewer of them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Piece = TypeVar("Piece")


@cache
def _pool(helpers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(helpers, "sqhw-sim")


def share(
    pieces: Iterable[Piece],
    threads: int,
    worker: Callable[[Iterable[Piece]], object],
) -> None:
    """Run pieces of work on several threads, the caller's among them.

    Parameters
    ----------
    pieces : iterable
        In the order in which they are begun.
    threads : int
        Largest number of threads.
    worker : callable
        Works on an iterable of pieces, which ends when none is left. Each thread calls it once.

    Raises
    ------
    Exception
        That of a piece; those that are not begun are then left out.
    """
    left = deque(pieces)

    def taken() -> Iterable[Piece]:
        while True:
            try:
                piece = left.popleft()
            except IndexError:
                return
            yield piece

    helpers = min(threads, len(left)) - 1
    if helpers < 1:
        worker(taken())
        return
    pool = _pool(threads - 1)
    futures = [pool.submit(worker, taken()) for _ in range(helpers)]
    try:
        worker(taken())
    finally:
        left.clear()
        for future in futures:
            if not future.cancel():  # it has begun
                future.exception()
    for future in futures:
        if not future.cancelled():
            future.result()

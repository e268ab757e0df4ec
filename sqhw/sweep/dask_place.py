"""The workers of a Dask scheduler as a place of a sweep; Dask is imported when it is asked for."""

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError
from sqhw.sweep.executors import Place
from sqhw.sweep.versions import check_versions, versions

#: Time without a look at the scheduler after which the waiting begins anew (unit: s).
PAUSE_SECONDS = 3.0


def dask_place(address: str, wait: float) -> Place:
    """Return the workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Address of the scheduler, for example ``tcp://10.0.0.1:8786``.
    wait : float
        Seconds that it gets to answer.

    Raises
    ------
    SqhwError
        If it does not answer, has no workers, or a worker has other versions.
    """
    need_package("distributed", "sqhw sweep --dask")
    import distributed  # noqa: F401 (it sets the levels of its loggers when it is imported)

    # A lost connection would be reported by tracebacks besides.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = _connected(address, wait)
    try:
        client.wait_for_workers(1, timeout=wait)
        found = client.run(versions, on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, BaseException):
                raise SqhwError(
                    f"the Dask worker {worker} cannot load this version of sqhw ({answer})"
                )
            check_versions(answer, versions(), f"the Dask worker {worker}")
    except TimeoutError:
        client.close()
        raise SqhwError(
            f"the Dask scheduler {address} has no workers (waited {wait:g} s)"
        ) from None
    except SqhwError:
        client.close()
        raise

    def close() -> None:
        executor.shutdown(wait=False)
        client.close(timeout=wait)

    executor = client.get_executor()
    return Place(executor, len(found), close, check=_Watch(client, address, wait))


def _connected(address: str, wait: float) -> Any:
    """Return a client of a scheduler.

    Raises
    ------
    SqhwError
        If the scheduler does not answer in time.
    """
    from distributed import Client

    found: Future[Any] = Future()

    def connect() -> None:
        try:
            found.set_result(Client(address, timeout=wait, set_as_default=False))
        except Exception as error:
            found.set_exception(error)

    # A port that takes connections and says nothing holds Dask for ever, whatever its timeout.
    threading.Thread(target=connect, daemon=True).start()
    try:
        return found.result(timeout=wait + 1)
    except (OSError, TimeoutError, ValueError) as error:
        raise SqhwError(
            f"the Dask scheduler {address} does not answer (waited {wait:g} s){_reason(error)}"
        ) from None


def _reason(error: BaseException) -> str:
    """Return the first cause of an error, as the end of a sentence."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    text = getattr(first, "strerror", None) or str(first)
    return f": {text}" if first is not error and text else ""


class _Watch:
    """Asks a scheduler for its workers while tasks run, and never waits for the answer.

    Parameters
    ----------
    client : distributed.Client
    address : str
    wait : float
        Seconds without an answer, or without workers, that are too long.
    """

    def __init__(self, client: Any, address: str, wait: float) -> None:
        self._client, self._address, self._wait = client, address, wait
        self._question: Future[dict[str, int]] | None = None
        self._looked = self._asked = self._staffed = time.monotonic()

    def __call__(self) -> None:
        """Take an answer that is there, and ask again.

        Raises
        ------
        SqhwError
            If there was no answer, or were no workers, for too long.
        """
        now = time.monotonic()
        if now - self._looked > PAUSE_SECONDS:  # tasks have ended since, so all was well
            self._asked = self._staffed = now
        self._looked = now
        if self._question is None or self._question.done():
            if self._question is not None and self._has_workers(self._question):
                self._staffed = now
            self._asked = now
            self._question = self._ask()
        if now - self._asked > self._wait:
            self._refuse("does not answer any more")
        if now - self._staffed > self._wait + PAUSE_SECONDS:  # an answer may be a look old
            self._refuse("has no workers any more")

    def _ask(self) -> "Future[dict[str, int]] | None":
        scheduler = self._client.scheduler
        if scheduler is None:  # the client is closed; its tasks end as cancelled
            return None
        loop = self._client.loop.asyncio_loop
        return asyncio.run_coroutine_threadsafe(_workers(scheduler), loop)

    @staticmethod
    def _has_workers(question: "Future[dict[str, int]]") -> bool:
        # A lost connection ends the tasks too, and the driver opens the place again.
        return question.exception() is None and bool(question.result())

    def _refuse(self, what: str) -> None:
        raise SqhwError(f"the Dask scheduler {self._address} {what} (waited {self._wait:g} s)")


async def _workers(scheduler: Any) -> dict[str, int]:
    """Return the threads of the workers by their addresses."""
    found: dict[str, int] = await scheduler.ncores()
    return found

"""Where points are computed: processes of this machine, Dask, or jobs of submitit.

All are executors of `concurrent.futures`; Dask and submitit are imported when they are asked for.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError
from sqhw.sweep.versions import check_versions, versions

#: Environment of worker processes: their libraries use one thread.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Work that a task carries (unit: s of points), short enough for progress and for the end.
TASK_SECONDS = 1.0


@dataclass
class Place:
    """An executor with what the driver must know of it.

    Parameters
    ----------
    executor : Executor
    workers : int
        Number of tasks that run at the same time.
    close : callable
        Ends the executor at once; tasks that run are given up.
    task_seconds : float
        Work that a task should carry (unit: s).
    whole : bool
        Whether the points are divided over the workers at once, as starting a task takes long.
    """

    executor: Executor
    workers: int
    close: Callable[[], None]
    task_seconds: float = TASK_SECONDS
    whole: bool = False


def local_place(workers: int) -> Place:
    """Return processes of this machine.

    Parameters
    ----------
    workers : int
        Number of processes; each uses one thread, or those of the option ``threads``.
    """
    before = set(multiprocessing.active_children())
    environment = {name: os.environ.get(name) for name in THREADS}
    # Spawned processes read the environment before they import a library.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker
    )

    def close() -> None:
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()

    return Place(executor, workers, close)


def _start_worker() -> None:
    """Let a worker end with the driver, even a killed one, and leave Ctrl-C to the driver."""
    import signal

    from sqhw.verify.processes import end_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()


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
    return Place(executor, len(found), close)


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
        reason = f": {error.__cause__}" if error.__cause__ else ""
        raise SqhwError(
            f"the Dask scheduler {address} does not answer (waited {wait:g} s){reason}"
        ) from None


def submitit_place(folder: Path, cluster: str, jobs: int, parameters: Mapping[str, Any]) -> Place:
    """Return jobs of submitit.

    Parameters
    ----------
    folder : path
        Folder of submitit's logs and files.
    cluster : {"local", "slurm"}
    jobs : int
        Number of jobs at the same time.
    parameters : mapping
        Parameters of submitit's executor.

    Raises
    ------
    SqhwError
        If submitit refuses them, or the cluster is not there.
    """
    need_package("submitit", "sqhw sweep --submitit")
    from sqhw.sweep.submitit_executor import SubmititExecutor

    executor = SubmititExecutor(folder, cluster, parameters)
    return Place(executor, jobs, executor.close, whole=True)

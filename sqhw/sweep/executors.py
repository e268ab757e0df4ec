"""Where points are computed: processes of this machine, Dask, or jobs of submitit.

All are executors of `concurrent.futures`; submitit is imported when it is asked for. Dask has a
module of its own, `sqhw.sweep.dask_place`.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqhw.environment.extras import need_package

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
    check : callable
        Raises a SqhwError when the place has been out of reach for too long; it returns at once.
    """

    executor: Executor
    workers: int
    close: Callable[[], None]
    task_seconds: float = TASK_SECONDS
    whole: bool = False
    check: Callable[[], None] = lambda: None


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

"""submitit behind the interface of `concurrent.futures`."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from sqhw.errors import SqhwError

#: Seconds between looks at jobs by cluster.
PAUSES = {"local": 0.1, "slurm": 5.0}
#: Time limit of a job unless the spec has another (unit: min).
TIMEOUT_MINUTES = 1440


class SubmititExecutor(Executor):
    """Jobs of submitit whose ends are futures of `concurrent.futures`.

    Parameters
    ----------
    folder : path
        Folder of submitit's logs and files.
    cluster : {"local", "slurm"}
    parameters : mapping
        Parameters of submitit's executor.

    Raises
    ------
    SqhwError
        If submitit refuses a parameter, or the cluster is not there.
    """

    def __init__(self, folder: Path, cluster: str, parameters: Mapping[str, Any]) -> None:
        import submitit

        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**{"timeout_min": TIMEOUT_MINUTES, **parameters})
        except Exception as error:  # submitit has no class of its own for these
            raise SqhwError(f"submitit, cluster {cluster}: {error}") from None
        self._cluster, self._pause = cluster, PAUSES[cluster]
        self._jobs: dict[Future[Any], Any] = {}
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a job that calls a function.

        Raises
        ------
        SqhwError
            If the cluster does not take it.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            job = self._executor.submit(fn, *args, **kwargs)
        except Exception as error:  # of the command that submits, or of the folder
            reason = " ".join(str(error).split())
            raise SqhwError(f"submitit, cluster {self._cluster}: {reason}") from None
        with self._lock:
            self._jobs[future] = job
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the jobs, or stop looking at them."""
        while wait and self._jobs:
            time.sleep(self._pause)
        self._closed = True

    def close(self) -> None:
        """Cancel all jobs."""
        self._closed = True
        with self._lock:
            for job in self._jobs.values():
                job.cancel(check=False)

    def _watch(self) -> None:
        while not self._closed:
            time.sleep(self._pause)
            with self._lock:
                done = [future for future, job in self._jobs.items() if job.done()]
                jobs = [(future, self._jobs.pop(future)) for future in done]
            for future, job in jobs:
                try:
                    future.set_result(job.result())
                except Exception as error:
                    future.set_exception(error)

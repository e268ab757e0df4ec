"""Runs of `sqhw sweep` as a user starts them, and the Dask cluster that some of them use."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqhw.files.digest import sha256_of
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.sweep.store import NETWORK, Store

#: Port of the Dask scheduler on the loopback interface.
PORT = 18_786
#: Seconds between looks at a run.
LOOK_SECONDS = 0.2
#: Seconds that a cluster gets to start, and a run to end.
START_SECONDS, RUN_SECONDS = 300, 7200


@dataclass
class Run:
    """A run of `sqhw sweep`.

    Parameters
    ----------
    process : Popen
    out : Path
        Folder of the sweep.
    memory : list of (int, int)
        Points that are there, and the driver's resident memory (unit: KiB), over time.
    """

    process: subprocess.Popen[str]
    out: Path
    memory: list[tuple[int, int]] = field(default_factory=list)

    def points(self) -> int:
        """Return the number of points that are there."""
        folder = self.out / "points"
        return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0

    def wait_for(self, points: int) -> None:
        """Wait until so many points are there, or the run ends."""
        end = time.monotonic() + RUN_SECONDS
        while self.points() < points and self.process.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.out}: {self.points()} points after {RUN_SECONDS} s")
            time.sleep(LOOK_SECONDS)

    def watch(self, every: float) -> None:
        """Record the driver's memory until the run ends."""
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            for line in status.read_text().splitlines() if status.exists() else ():
                if line.startswith("VmRSS:"):
                    self.memory.append((self.points(), int(line.split()[1])))
            time.sleep(every)

    def result(self) -> dict[str, Any]:
        """Return the JSON result after the end of the run."""
        out, err = self.process.communicate(timeout=RUN_SECONDS)
        if not out:
            raise RuntimeError(err.strip().splitlines()[-1])
        found: dict[str, Any] = json.loads(out)
        return found

    def kill(self) -> None:
        """End the driver as ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster on this machine.

    Parameters
    ----------
    address : str
        Address of the scheduler.
    scheduler : Popen
    workers : list of Popen
    """

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


def start(spec: Path, out: Path, *options: str) -> Run:
    """Start `sqhw sweep`."""
    words = [sys.executable, "-m", "sqhw", "sweep", str(spec), "--out", str(out), "--json"]
    process = subprocess.Popen(
        [*words, "--yes", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return Run(process, out)


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Yield a cluster whose scheduler and workers are processes of their own."""
    address = f"tcp://127.0.0.1:{PORT}"
    dask = [sys.executable, "-m", "dask"]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    folder.mkdir(parents=True, exist_ok=True)
    commands = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", str(PORT), "--no-dashboard"]]
    commands += [
        [
            *dask, "worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard",
            f"--death-timeout={START_SECONDS}", f"--local-directory={folder / str(index)}",
        ]
        for index in range(workers)
    ]  # fmt: skip
    processes = []
    with (folder / "log").open("w") as log:
        try:
            for command in commands:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            _wait_for_workers(address, workers)
            yield Cluster(address, processes[0], processes[1:])
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _wait_for_workers(address: str, workers: int) -> None:
    from distributed import Client

    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with Client(address, timeout=5, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=max(1, end - time.monotonic()))
                return
        except OSError:
            if time.monotonic() > end:
                raise


def contents(out: Path) -> dict[str, Any]:
    """Return all that the points of a sweep came to, by their address, without the time."""
    store = Store.at(out)
    found = {}
    for record in store.records():
        address, figures = record["address"], dict(record["figures"])
        del figures["seconds"]
        network = store.points / address / NETWORK
        digest = sha256_of(network, MAX_NETWORK_BYTES) if network.exists() else None
        found[address] = (figures, digest)
    return found

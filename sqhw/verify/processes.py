"""The processes of a verification, which end with it however it ends."""

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

#: Option of Linux' ``prctl``: the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the system end this process after the end of its parent; on Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Processes:
    """Processes that several threads start and wait for, and that are ended together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def run(
        self, command: Sequence[str], folder: Path, limit: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder; return its exit status and its output.

        Raises
        ------
        subprocess.TimeoutExpired
            If the command runs for more than `limit` seconds; it is then ended.
        """
        with self._lock:
            if self._ended:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            self._running.add(process)
        with process:
            try:
                out, err = process.communicate(timeout=limit)
            finally:
                process.kill()
                process.wait()
                with self._lock:
                    self._running.discard(process)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def end(self) -> None:
        """End all processes that run; no other one can be started."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()

"""No process of a verification outlives it."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sqhw.verify.processes import Processes

CHILD = "import time; from sqhw.verify.processes import end_with_parent; end_with_parent(); "
CHILD += "print('ready', flush=True); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
TERMINATED = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.argv = ["sqhw", *sys.argv[1:]]
import sqhw.steps.devices
sqhw.steps.devices.devices = lambda: (os.kill(os.getpid(), signal.SIG{NAME}), time.sleep(60))
from sqhw.cli import main
main()
"""


def gone(pid):
    """Return whether a process ends within some seconds; a zombie has ended."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_simulator_ends_with_what_started_it(number):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(number)
    assert gone(child)


def test_running_processes_are_ended_and_no_other_starts(tmp_path):
    processes = Processes()
    found = []
    thread = threading.Thread(
        target=lambda: found.append(processes.run(["sleep", "60"], tmp_path, 60).returncode)
    )
    thread.start()
    while not processes._running:
        time.sleep(0.01)
    processes.end()
    thread.join(10)
    assert found == [-signal.SIGKILL]
    with pytest.raises(KeyboardInterrupt):
        processes.run(["touch", "started"], tmp_path, 60)
    assert not list(tmp_path.iterdir())


def test_a_process_that_hangs_is_ended(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        Processes().run(["sleep", "60"], tmp_path, 0.1)


@pytest.mark.parametrize(
    ("name", "code", "word"), [("TERM", 143, "terminated"), ("INT", 130, "interrupted")]
)
def test_a_signal_is_one_sentence(name, code, word):
    script = TERMINATED.replace("{NAME}", name)
    command = [sys.executable, "-c", script, "devices"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (code, "", f"sqhw: {word}\n")

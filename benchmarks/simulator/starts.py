"""Start-up of the command, cold and with the code kept, and what one image costs in Python."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.simulator.cases import LISTED, random_network
from benchmarks.simulator.rows import Record
from sqhw.network.quantized_file import save_network
from sqhw.sim import kernels
from sqhw.sim.simulator import Simulator

#: Repetitions of the fast measurements.
CALLS = 200
#: Program of a child: the command, then its peak memory as Linux tells it (unit: kB). That of
#: `resource` counts the memory of the parent.
CHILD = """
import sys
from sqhw.cli import main
try:
    main()
finally:
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            sys.stderr.write("\\n" + line.split()[1] + "\\n")
"""


def measure(rounds: int, count: int) -> Record:
    """Return processor seconds and memory of `sqhw simulate`, and the overhead of a call.

    Parameters
    ----------
    rounds : int
    count : int
        Images of the long run.
    """
    network = random_network("resnet20", LISTED)
    record: Record = {"overhead": _overhead()}
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder) / "net.safetensors", Path(folder) / "data.npz"
        save_network(network, path)
        for label, images in (("one", 50), ("long", 5 * count)):  # a fifth of them are the test set
            pixels = np.random.default_rng(0).integers(0, 256, (images, *network.input_shape))
            np.savez(data, images=pixels.astype(np.uint8), labels=np.arange(images) % 10)
            command = ["simulate", str(path), "--data", f"npz:{data}"]
            if label == "one":
                record["first start"] = _run([*command, "--compare", "0"], Path(folder) / "cache")
                runs = [
                    _run([*command, "--compare", "0"], Path(folder) / "cache")
                    for _ in range(rounds)
                ]
                record["second start"] = sorted(runs)[rounds // 2]
            else:
                record["long run"] = _run(command, Path(folder) / "cache")
                record["long run's images"] = count
    return record


def _overhead() -> float:
    """Return the processor seconds of a call with one image that are not the layers'."""
    network = random_network("resnet20", LISTED)
    simulator = Simulator(network, threads=1)
    image = np.zeros((1, *network.input_shape), np.uint8)
    simulator.logits(image)
    runner = simulator.runner
    with runner.arena() as arena:
        start = time.process_time()
        for _ in range(CALLS):
            kernels.run(runner.plan.content, runner.plan.operations, runner.plan.split, arena, 1)
        layers = time.process_time() - start
    start = time.process_time()
    for _ in range(CALLS):
        simulator.logits(image)
    return (time.process_time() - start - layers) / CALLS


def _run(arguments: list[str], cache: Path) -> list[float]:
    """Return processor seconds, seconds and peak memory (unit: MB) of a command."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": str(cache)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", CHILD, *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [seconds, wall, int(run.stderr.split()[-1]) / 1000]

"""Sweeps on three executors, with many small points, and after the end of a worker or driver.

``python -m benchmarks.sweep`` writes ``benchmarks/sweep/RESULTS.md``.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from benchmarks.sweep.clusters import contents, dask_cluster, start

RESULTS = Path(__file__).with_name("RESULTS.md")
#: Float networks of digits, each trained with a seed of its own.
SEEDS = 5
#: Workers of the Dask cluster, of which one is killed when this share of the points is there.
WORKERS, KILLED_AT = 3, 0.4
#: The 60 points: 3 densities, 4 engines, 5 trained networks.
QUANTIZE = """\
step = "quantize"
[options]
data = "{data}"
bits = 4
[product]
source = [{sources}]
density = [0.2, 0.3, 0.4]
engine = [
  {{device = "LFE5U-25F"}},
  {{device = "LFE5U-85F"}},
  {{device = "LFE5U-85F", max_batch = 4}},
  {{device = "XC7A100T"}},
]
"""
#: Many points of `size`, each some milliseconds.
SIZE = """\
step = "size"
[options]
network = "lenet5-caffe"
[product]
device = ["LFE5U-25F", "LFE5U-85F"]
bits = [2, 3, 4, 5, 6]
density = [{densities}]
"""


def main(
    lenet5: Annotated[Path | None, typer.Option(help="Float LeNet-5, with --mnist.")] = None,
    mnist: Annotated[str | None, typer.Option(help="Data set for it, mnist:DIR.")] = None,
    points: Annotated[int, typer.Option(help="Points of size, a multiple of 10.")] = 10_000,
    epochs: Annotated[int, typer.Option(help="Epochs of the float networks.")] = 10,
) -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / f"digits-{seed}.safetensors" for seed in range(SEEDS)]
        for seed, path in enumerate(sources):
            words = ["train", "--data", "digits", "--epochs", str(epochs), "--seed", str(seed)]
            subprocess.run(
                [sys.executable, "-m", "sqhw", *words, "--out", str(path)],
                check=True, capture_output=True,
            )  # fmt: skip
        rows = _executors(folder / "digits", "digits", sources)
        if lenet5 is not None and mnist is not None:
            rows += _executors(folder / "lenet5", mnist, [lenet5])
        many = _many(folder, points)
        resumed = _resumed(folder, points // 10)
    text = _text(rows, many, resumed)
    write_sealed_text(RESULTS, text)
    typer.echo(text)


def _executors(folder: Path, data: str, sources: list[Path]) -> list[dict[str, Any]]:
    """Return a row for each executor."""
    folder.mkdir()
    spec = folder / "points.toml"
    listed = ", ".join(f'"{path}"' for path in sources)
    spec.write_text(QUANTIZE.format(data=data, sources=listed))
    name = f"{data.partition(':')[0]}, {12 * len(sources)} points"
    cores = len(os.sched_getaffinity(0))
    rows = [_row(name, "local processes", cores, start(spec, folder / "local").result())]
    expected = contents(folder / "local")
    with dask_cluster(folder / "dask-files", WORKERS) as cluster:
        run = start(spec, folder / "dask", "--dask", cluster.address, "--wait", "120")
        run.wait_for(int(KILLED_AT * 12 * len(sources)))
        cluster.workers[0].kill()
        killed = time.monotonic()
        result = run.result()
        # From the start of the sweep, not of its process, as the wall time is.
        lived = result["wall_seconds"] - (time.monotonic() - killed)
        rows.append(_row(name, "Dask, 1 of 3 workers killed", WORKERS - 1, result, lived))
    rows[-1]["same"] = contents(folder / "dask") == expected
    run = start(spec, folder / "submitit", "--submitit", "local")
    rows.append(_row(name, "submitit, local", cores, run.result()))
    rows[-1]["same"] = contents(folder / "submitit") == expected
    rows[0]["same"] = len(expected) == rows[0]["points"]
    return rows


def _row(
    name: str, executor: str, workers: int, result: dict[str, Any], lived: float = 0.0
) -> dict[str, Any]:
    """Return the figures of a run on workers, and on one more that lived for some seconds."""
    # The time in which workers computed no point: starts, hand-overs, waits at the end, and the
    # part of a point that ended with its worker.
    idle = result["wall_seconds"] * workers + lived - result["point_seconds"]
    return {"name": name, "executor": executor, "workers": workers, "idle": idle} | result


def _size_spec(folder: Path, points: int) -> Path:
    spec = folder / f"size-{points}.toml"
    densities = ", ".join(f"{(index + 1) / (points // 10):.6f}" for index in range(points // 10))
    spec.write_text(SIZE.format(densities=densities))
    return spec


def _many(folder: Path, points: int) -> dict[str, Any]:
    """Return time and memory of many points of size."""
    run = start(_size_spec(folder, points), folder / "many")
    run.watch(1.0)
    result = run.result()
    memory = {}
    for share in (0.1, 0.5, 0.9):
        later = [kib for there, kib in run.memory if there >= share * points]
        memory[share] = later[0] if later else run.memory[-1][1]
    return result | {"memory": memory}


def _resumed(folder: Path, points: int) -> dict[str, Any]:
    """Return what a driver that was killed and started again came to."""
    spec = _size_spec(folder, points)
    run = start(spec, folder / "killed")
    run.wait_for(points // 3)
    run.kill()
    there = run.points()
    again = start(spec, folder / "killed").result()
    start(spec, folder / "straight").result()
    same = contents(folder / "killed") == contents(folder / "straight")
    left = len(list((folder / "killed" / "unfinished").iterdir()))
    return again | {"there": there, "same": same, "left": left}


def _text(rows: list[dict[str, Any]], many: dict[str, Any], resumed: dict[str, Any]) -> str:
    """Return the page."""
    memory = ", ".join(
        f"{kib / 1024:.0f} MiB at {share:.0%}" for share, kib in many["memory"].items()
    )
    equal = "equal" if resumed["same"] else "DIFFER FROM"
    return f"""\
# Sweeps

`python -m benchmarks.sweep`. {sentence(measured_on("distributed", "submitit", "torch"))}
{len(os.sched_getaffinity(0))} cores with a load of {os.getloadavg()[2]:.1f} over the last 15 minutes.
Where the load is above the number of cores, times are those of a busy machine.

One `quantize` a point, of networks trained with seeds of their own. *Idle* is the workers' time in
which no point was computed, starts included. *Same*: figures and network files are those of local
processes, and all are there.

| sweep | executor | workers | computed | failed | lost | wall, s | s a point | idle a point, s | same |
|---|---|---|---|---|---|---|---|---|---|
{"".join(map(_line, rows))}
{many["computed"]:,} points of `size` (LeNet-5) on local processes: {many["wall_seconds"]:.0f} s,
{1000 * many["point_seconds"] / many["points"]:.1f} ms a point in its worker, {many["failed"]} failed.
Memory of the driver: {memory} of the points.

`kill -9` of the driver with {resumed["there"]:,} of {resumed["points"]:,} points there: the same
command found {resumed["found"]:,} and computed {resumed["computed"]:,}; {resumed["left"]} unfinished
folders are left; all points {equal} those of a sweep without an end.
"""  # noqa: E501


def _line(row: dict[str, Any]) -> str:
    cells = (
        row["name"],
        row["executor"],
        row["workers"],
        row["computed"],
        row["failed"],
        row["workers_lost"],
        f"{row['wall_seconds']:.1f}",
        f"{row['point_seconds'] / row['points']:.2f}",
        f"{row['idle'] / row['points']:.2f}",
        "yes" if row["same"] else "NO",
    )
    return f"| {' | '.join(map(str, cells))} |\n"


if __name__ == "__main__":
    typer.run(main)

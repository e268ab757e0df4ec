"""Cycles of a design in its RTL, and its resources and clock after place and route."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine.networks import test_images
from benchmarks.origin import commit
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compiler.program import Program
from sqhw.cost_models.device import Device
from sqhw.synth.place import place_netlist, synthesize
from sqhw.synth.tools import flow_for
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.job import check_job, job_of
from sqhw.verify.stimulus import ALWAYS, FRAME

#: Rounds of frames, one for each core, whose last results are compared. The interval is between
#: both.
ROUNDS = (1, 3)
#: Files of a netlist.
NETLIST = ("netlist.json", "stat.json")


def measured_interval(program: Program, folder: Path) -> dict[str, Any]:
    """Run frames without a pause through the RTL (CXXRTL), all activations compared.

    Returns
    -------
    dict
        ``interval``: cycles between two images; ``activations`` compared; ``commit``.

    Raises
    ------
    SqhwError
        If results, activations or the cycles of a run are not the simulator's and the schedule's.
    """
    work = make_folder(folder / "cxxrtl")
    bench = VolumeBench(folder, work)
    cores, batch = program.engine.cores, program.batch
    images = np.resize(test_images(None), (ROUNDS[-1] * cores * batch, 3, 32, 32))
    roms = bench.copy_roms(check_job(program, images, folder, folder), folder)
    cycles, activations = [], 0
    for rounds in ROUNDS:
        frames = np.zeros(rounds * cores, FRAME)
        frames["run"], frames["valid"], frames["listen"] = np.arange(len(frames)), ALWAYS, ALWAYS
        report = bench.run_frames(job_of(program, images[: len(frames) * batch]), frames, roms, 0)
        cycles.append(report.clock_cycles)
        activations += report.activations
    between = (ROUNDS[1] - ROUNDS[0]) * cores * batch
    return {
        "interval": (cycles[1] - cycles[0]) / between,
        "activations": activations,
        "commit": commit(),
    }


def netlist(folder: Path, device: Device, design: str) -> int:
    """Synthesize a design unless that was done; return the flip-flops that went into block RAM."""
    work = make_folder(folder / "netlist")
    done = work / "done.json"
    if done.is_file():
        before = json.loads(done.read_text())
        if before["design"] == design:
            return int(before["inside"])
    _, inside = synthesize(folder, device, work)
    atomic_write_text(done, json.dumps({"design": design, "inside": inside}))
    return inside


def placement(folder: Path, device: Device, design: str, seed: int) -> dict[str, Any]:
    """Place and route a design with a seed.

    Returns
    -------
    dict
        Figures of the report and ``commit``.

    Raises
    ------
    SqhwError
        If a tool fails, or the design does not fit.
    """
    work = make_folder(folder / f"seed{seed}")
    try:
        inside = netlist(folder, device, design)
        for name in NETLIST:
            shutil.copy(folder / "netlist" / name, work / name)
        report = place_netlist(flow_for(device), inside, seed=seed, work=work)
    finally:
        (work / NETLIST[0]).unlink(missing_ok=True)
    return {
        "luts": report.luts,
        "ffs": report.ffs,
        "brams": report.brams,
        "dsps": report.dsps,
        "mhz": report.fmax_mhz,
        "commit": commit(),
    }

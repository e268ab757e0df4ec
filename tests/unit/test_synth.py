"""What goes into the synthesis tools and what is read from them; the tools do not run here."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sqhw.cost_models.device import find_device, load_devices
from sqhw.errors import SqhwError
from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.synth import tools
from sqhw.synth.place import place, place_command, read_report, synthesis_script
from sqhw.synth.tools import FLOWS, find_tool, flow_for, run_tool
from sqhw.synth.top import engine_ports, top_verilog

LOG = Path("nextpnr.log")
CELLS = {"design": {"num_cells_by_type": {"SB_DFF": 5, "SB_DFFESR": 7, "SB_LUT4": 90}}}


def step(kind, delay, **where):
    return {"type": kind, "delay": delay, "to": {"cell": "engine.b", "port": "I0"}, **where}


def report(**changes):
    """Return a report of nextpnr-ice40, shortened."""
    return {
        "fmax": {"clk$glb": {"achieved": 31.5, "constraint": 48.0}},
        "utilization": {
            "ICESTORM_LC": {"available": 5280, "used": 4933},
            "ICESTORM_RAM": {"available": 30, "used": 30},
            "ICESTORM_DSP": {"available": 8, "used": 8},
        },
        "critical_paths": [
            {"from": "async", "to": "posedge clk$glb", "path": [step("logic", 9.0)]},
            {
                "from": "posedge clk$glb",
                "to": "posedge clk$glb",
                "path": [step("clk-to-q", 1.391), step("routing", 3.4, net="engine.busy")],
            },
        ],
    } | changes


def test_report_of_ice40():
    found = read_report(report(), CELLS, FLOWS["iCE40UP5K"], LOG)
    assert (found.luts, found.ffs, found.brams, found.dsps) == (4933, 12, 30, 8)
    assert found.fmax_mhz == 31.5
    assert found.critical_path == ("clk-to-q 1.39 engine.b", "routing 3.40 engine.busy")
    assert found.log == LOG


def test_the_slowest_clock_and_cells_that_a_device_lacks():
    clocks = {"a": {"achieved": 40.0}, "b": {"achieved": 20.0}}
    found = read_report(
        report(fmax=clocks, utilization={"ICESTORM_LC": {"used": 9}}),
        CELLS,
        FLOWS["iCE40HX8K"],
        LOG,
    )
    assert (found.fmax_mhz, found.luts, found.dsps, found.critical_path) == (20.0, 9, 0, ())


def test_a_report_without_a_clock_is_refused():
    with pytest.raises(SqhwError) as error:
        read_report(report(fmax={}), CELLS, FLOWS["iCE40UP5K"], LOG)
    assert str(error.value) == "nextpnr-ice40 reported no clock frequency; see nextpnr.log"


def test_command_lines():
    flow = flow_for(find_device("ULX3S 25F"))
    assert " ".join(place_command(flow, 7)) == (
        "nextpnr-ecp5 --25k --package CABGA381 --speed 6 --lpf-allow-unconstrained "
        "--json netlist.json --report report.json --seed 7 --freq 150 --timing-allow-fail"
    )
    assert synthesis_script(flow_for(find_device("iCEBreaker"))) == (
        "read_verilog sqhw_engine.v sqhw_rom.v sqhw_ram.v sqhw_place.v\n"
        "synth_ice40 -device u -dsp -top sqhw_place -json netlist.json\n"
        "tee -q -o stat.json stat -json\n"
    )


def test_flows_are_of_known_devices():
    assert FLOWS.keys() <= load_devices().keys()


def test_other_devices_are_refused():
    with pytest.raises(SqhwError, match="unknown device for place and route 'XC7A35T'"):
        flow_for(replace(find_device("iCEBreaker"), name="XC7A35T"))


@pytest.mark.parametrize(
    ("tool", "what"),
    [
        ("yosys", "synthesis"),
        *((tool, "place and route") for tool in sorted({flow.tool for flow in FLOWS.values()})),
    ],
)
def test_missing_tools_name_the_extra(monkeypatch, tool, what):
    monkeypatch.setattr(tools.shutil, "which", lambda *args, **kwargs: None)
    with pytest.raises(SqhwError) as error:
        find_tool(tool)
    needs = f"{what} needs the Python package yowasp-{tool}, which is not installed"
    assert str(error.value) == f"{needs}; run: pip install 'sqhw[synth]'"


def test_a_failing_tool_is_quoted(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "find_tool", lambda name: shutil.which("sh"))
    log = tmp_path / "tool.log"
    with pytest.raises(SqhwError) as error:
        run_tool(("yosys", "-c", "echo so; echo 'ERROR: no room'; exit 3"), tmp_path, log)
    assert str(error.value) == f"yosys failed: ERROR: no room; see {log}"


def test_missing_verilog_is_named(tmp_path):
    with pytest.raises(SqhwError, match=r"sqhw_engine\.v is missing; write it"):
        place(tmp_path, find_device("iCEBreaker"), work=tmp_path / "work")


def test_a_file_without_the_engine_is_refused():
    with pytest.raises(SqhwError, match="holds no module sqhw_engine"):
        engine_ports("module other(clk);\n  input clk;\nendmodule\n")


def test_top_connects_every_port(tmp_path):
    """All ports of the real engine but those for verification; the parity is four bits a cycle."""
    write_rtl(EngineConfig(), {"weights": 64, "params": 64, "codebook": 16}, tmp_path)
    ports = engine_ports((tmp_path / "sqhw_engine.v").read_text())
    assert ports["in_data"] == ("input", 8)
    assert ports["cycles"] == ("output", 32)
    assert ports["rst"] == ("input", 1)
    assert not {"clk", "wb_data"} & ports.keys()
    text = top_verilog(ports)
    for name in ports:
        assert f".{name}(" in text
    outputs = sum(width for direction, width in ports.values() if direction == "output")
    assert f"wire [{outputs - 1}:0] seen;" in text
    assert ".cycles(seen[" in text
    assert f"level_1 <= {{^level_0[{outputs - 1}:{(outputs - 1) // 4 * 4}]" in text

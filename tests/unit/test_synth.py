"""What goes into the synthesis tools and what is read from them; the tools do not run here."""

import shutil
from pathlib import Path

import pytest

from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.placement import PLACE_TOOLS
from sqhw.errors import SqhwError
from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.synth import tools
from sqhw.synth.place import place, place_command, read_report, synthesis_script
from sqhw.synth.tools import PROGRAMS, find_tool, flow_for, run_tool
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
    found = read_report(report(), CELLS, flow_for(find_device("iCE40UP5K")), LOG)
    assert (found.luts, found.ffs, found.brams, found.dsps) == (4933, 12, 30, 8)
    assert found.fmax_mhz == 31.5
    assert found.critical_path == ("clk-to-q 1.39 engine.b", "routing 3.40 engine.busy")
    assert found.log == LOG


def test_the_slowest_clock_and_cells_that_a_device_lacks():
    clocks = {"a": {"achieved": 40.0}, "b": {"achieved": 20.0}}
    found = read_report(
        report(fmax=clocks, utilization={"ICESTORM_LC": {"used": 9}}),
        CELLS,
        flow_for(find_device("iCE40HX8K")),
        LOG,
    )
    assert (found.fmax_mhz, found.luts, found.dsps, found.critical_path) == (20.0, 9, 0, ())


def test_a_report_without_a_clock_is_refused():
    with pytest.raises(SqhwError) as error:
        read_report(report(fmax={}), CELLS, flow_for(find_device("iCE40UP5K")), LOG)
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


#: Yosys command and options of place and route of every device that they are set up for.
COMMANDS = {
    "iCE40UP5K": (
        "synth_ice40 -device u -dsp",
        "nextpnr-ice40 --up5k --package sg48 --pcf-allow-unconstrained",
        48,
    ),
    "iCE40HX8K": (
        "synth_ice40 -device hx",
        "nextpnr-ice40 --hx8k --package ct256 --pcf-allow-unconstrained",
        120,
    ),
    "iCE40LP8K": (
        "synth_ice40 -device lp",
        "nextpnr-ice40 --lp8k --package cm81 --pcf-allow-unconstrained",
        80,
    ),
    **{
        f"LFE5U-{size}F": (
            "synth_ecp5",
            f"nextpnr-ecp5 --{size}k --package CABGA381 --speed 6 --lpf-allow-unconstrained",
            150,
        )
        for size in (12, 25, 45, 85)
    },
}


def test_the_commands_of_every_device_that_can_be_placed():
    devices = [device for device in load_devices().values() if device.placement is not None]
    flows = {device.name: flow_for(device) for device in devices}
    assert {
        name: (flow.synth, " ".join((flow.tool, *flow.part)), flow.target_mhz)
        for name, flow in flows.items()
    } == COMMANDS


def test_other_devices_are_refused():
    with pytest.raises(SqhwError) as error:
        flow_for(find_device("XC7A35T"))
    assert str(error.value) == (
        "device 'XC7A35T' cannot be placed and routed: its device file has no table "
        "[device.placement]; those that have: LFE5U-12F, LFE5U-25F, LFE5U-45F, LFE5U-85F, "
        "iCE40UP5K, iCE40HX8K, iCE40LP8K"
    )


OWN = """
base = "LFE5U-45F"

[[device]]
name = "LFE5UM-45F"
luts = 43848
ffs = 43848
dsps = 72
blocks = { DP16KD = 108 }
boards = []
source = ["a datasheet"]

[device.placement]
part = "um-45k"
package = "CABGA554"
speed = "8"
synth_options = ["-abc2"]
target_mhz = 200
source = ["nextpnr-ecp5 --help"]
"""


def test_a_device_of_ones_own_can_be_placed(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    flow = flow_for(find_device(str(path)))
    assert flow.synth == "synth_ecp5 -abc2"
    assert place_command(flow, 1)[:8] == (
        "nextpnr-ecp5", "--um-45k", "--package", "CABGA554", "--speed", "8",
        "--lpf-allow-unconstrained", "--json",
    )  # fmt: skip
    assert flow.output_registers
    assert flow.cells == flow_for(find_device("LFE5U-45F")).cells


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"um-45k"', '"um 45k"', "part must be one word such as '25k', not 'um 45k'"),
        ('"um-45k"', '"-45k"', "part must be one word such as '25k', not '-45k'"),
        ('"um-45k"', '"gui"', "part must be one word such as '25k', not 'gui'"),
        ('"CABGA554"', '"../x"', "package must be one word such as 'CABGA381', not '../x'"),
        ('speed = "8"', "speed = 8", "speed must be one word such as '6', not 8"),
        (
            '"-abc2"',
            '"-abc2\\n!touch x"',
            "synth_options must be one word such as '-dsp', not '-abc2\\n!touch x'",
        ),
        ("200", "0", "target_mhz must be a whole number of 1 or more, not 0"),
        ("part =", "die =", "unknown key 'die'; "),
        ('package = "CABGA554"\n', "", "key 'package' is missing"),
        ('["nextpnr-ecp5 --help"]', "[]", "source must be a list of 1 or more texts, not []"),
    ],
)
def test_facts_for_placement_are_checked(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    assert old in OWN
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(SqhwError) as error:
        find_device(str(path))
    where = f"{path}: device 'LFE5UM-45F': placement: "
    assert str(error.value).startswith(where + message)


def test_a_family_without_a_tool_has_no_placement(tmp_path):
    path = tmp_path / "mine.toml"
    text = OWN.replace("LFE5U-45F", "XC7A35T", 1).replace("DP16KD", "RAMB18E1")
    path.write_text(text)
    with pytest.raises(SqhwError) as error:
        find_device(str(path))
    assert str(error.value) == (
        f"{path}: device 'LFE5UM-45F': placement needs the table [place_tool] of its family in "
        "the file"
    )


def test_every_tool_of_device_files_is_known():
    assert set(PROGRAMS) == set(PLACE_TOOLS)


@pytest.mark.parametrize(
    ("tool", "what"),
    [
        ("yosys", "synthesis"),
        *((tool, "place and route") for tool in sorted(PROGRAMS)),
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

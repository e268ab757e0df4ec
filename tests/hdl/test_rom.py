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
BENCH = """
module bench;
  reg clk = 0;
  reg [{high}:0] addr;
  wire [{top}:0] data;
  top dut(.clk(clk), .addr(addr), .data(data));
  integer file, got;
  initial begin
    file = $fopen("addresses.hex", "r");
    while ($fscanf(file, "%h", addr) == 1) begin
      #1 clk = 1;
      #1 $display("%h", data);
      clk = 0;
      #1;
    end
    $finish;
  end
endmodule
"""


def run(folder, pieces, addr_bits, latency, addresses):
    """Return the words that Icarus Verilog shows after the edges that take the addresses."""
    rom = Rom("weights", pieces, addr_bits, latency=latency)
    m = Module()
    m.domains.sync = clock = ClockDomain(reset_less=True)
    m.submodules.rom = rom
    ports = {"clk": (clock.clk, None), "addr": (rom.addr, None), "data": (rom.data, None)}
    (folder / "top.v").write_text(verilog.convert(m, ports=ports, strip_internal_attrs=True))
    (folder / "rom.v").write_text(leaf_verilog("sqhw_rom.v"))
    (folder / "bench.v").write_text(BENCH.format(high=addr_bits - 1, top=len(rom.data) - 1))
    (folder / "addresses.hex").write_text("".join(f"{address:x}\n" for address in addresses))
    command = ["iverilog", "-g2012", "-o", "bench", "bench.v", "top.v", "rom.v"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True)
    lines = done.stdout.decode().splitlines()
    return [line for line in lines if set(line) <= set("0123456789abcdefxX")]


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.parametrize("latency", [1, 2])
@pytest.mark.parametrize("name", [*PIECES, *DEVICES])
def test_every_word_comes_after_the_latency(tmp_path, name, latency):
    rng = random.Random(0)
    if name in DEVICES:
        device = find_device(DEVICES[name])
        pieces = rom_plan(DEPTH, WIDTH, device, registered=latency > 1).cuts
    else:
        pieces = PIECES[name]
    depth, width = depth_of(pieces), width_of(pieces)
    words = tuple(rng.getrandbits(width) for _ in range(depth))
    write_image(RomImage("weights", width, words), pieces, tmp_path)
    addresses = [*range(depth), *(rng.randrange(depth) for _ in range(2 * depth))]
    addr_bits = (depth - 1).bit_length() + 1  # the upper half does not exist
    shown = run(tmp_path, pieces, addr_bits, latency, [*addresses, *[0] * (latency - 1)])
    assert [int(word, 16) for word in shown[latency - 1 :]] == [words[a] for a in addresses]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "synth", "block"),
    [("LFE5U-85F", "synth_ecp5", "DP16KD"), ("iCE40UP5K", "synth_ice40", "SB_RAM40_4K")],
)
@pytest.mark.parametrize(("depth", "width"), [(15276, 18), (1373, 8), (2100, 18)])
def test_yosys_takes_the_blocks_of_the_plan(tmp_path, device, synth, block, depth, width):
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

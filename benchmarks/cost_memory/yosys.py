"""Memories through yosys, as far as it picks their cells."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from benchmarks.cost_memory.grid import Shape

#: Synthesis commands by family. They run up to the step that puts the rest into flip-flops.
_SYNTH = {
    "ice40": "synth_ice40 -device u",
    "ecp5": "synth_lattice -family ecp5",
    "nexus": "synth_lattice -family lifcl",
    "gowin": "synth_gowin -family gw1n",
    "gw5a": "synth_gowin -family gw5a",
    "gatemate": "synth_gatemate -noiopad -noclkbuf",
    "efinix": "synth_efinix",
    "xc7": "synth_xilinx -family xc7 -noiopad -noclkbuf",
    "xcup": "synth_xilinx -family xcup -noiopad -noclkbuf",
    "cyclonev": "synth_intel_alm -family cyclonev -noiopad -noclkbuf",
}
_HUGE = {"ice40": " -spram", "xcup": " -uram"}
_RUN = " -top top -run :map_ffram"

#: Blocks that a cell takes, by the cell's name in yosys.
_BLOCKS = {
    "SB_RAM40_4K": 1,
    "SB_SPRAM256KA": 1,
    "DP16KD": 1,
    "PDPW16KD": 1,
    "DP16K": 1,
    "PDP16K": 1,
    "PDPSC16K": 1,
    "SP": 1,
    "SPX9": 1,
    "SDPB": 1,
    "SDPX9B": 1,
    "DPB": 1,
    "DPX9B": 1,
    "CC_BRAM_20K": 1,
    "CC_BRAM_40K": 2,
    "EFX_RAM_5K": 1,
    "RAMB18E1": 1,
    "RAMB36E1": 2,
    "RAMB18E2": 1,
    "RAMB36E2": 2,
    "URAM288": 1,
    "MISTRAL_M10K": 1,
}

_ROM = """module top(input clk, input [{a}:0] ra, output reg [{w}:0] q);
  reg [{w}:0] mem[0:{d}];
  initial $readmemh("{file}", mem);
  always @(posedge clk) q <= mem[ra];
endmodule
"""
_RAM = """module top(input clk, we, input [{a}:0] wa, ra, input [{w}:0] d, output reg [{w}:0] q);
  reg [{w}:0] mem[0:{d}];
  always @(posedge clk) begin
    if (we) mem[wa] <= d;
    q <= mem[ra];
  end
endmodule
"""
_SINGLE = """module top(input clk, we, input [{a}:0] ra, input [{w}:0] d, output reg [{w}:0] q);
  reg [{w}:0] mem[0:{d}];
  always @(posedge clk) if (we) mem[ra] <= d; else q <= mem[ra];
endmodule
"""
_SOURCES = {"rom": _ROM, "1r1w": _RAM, "1rw": _SINGLE}


def synthesize(shapes: Sequence[Shape], command: str, seed: int = 0) -> list[int]:
    """Return the memory blocks that yosys takes for each memory, 0 for LUTs.

    Parameters
    ----------
    shapes : sequence of Shape
    command : str
        The yosys to run.
    seed : int
        Seed of the ROMs' random contents.

    Returns
    -------
    list of int

    Raises
    ------
    RuntimeError
        If yosys fails; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = []
        for number, shape in enumerate(shapes):
            _write_source(folder, number, shape, Random(f"{seed} {shape}"))
            flags = _HUGE.get(shape.family, "") if shape.style == "auto huge" else ""
            script += [
                "design -reset",
                f"read_verilog {number}.v",
                f"{_SYNTH[shape.family]}{flags}{_RUN}",
                f"tee -q -o {number}.json stat -json",
            ]
        (folder / "run.ys").write_text("\n".join(script) + "\n")
        run = subprocess.run(
            [command, "-q", "run.ys"], cwd=folder, capture_output=True, text=True, check=False
        )
        if run.returncode:
            tail = "\n".join((run.stdout + run.stderr).splitlines()[-5:])
            raise RuntimeError(f"{command} failed:\n{tail}")
        return [_blocks(folder / f"{number}.json") for number in range(len(shapes))]


def _write_source(folder: Path, number: int, shape: Shape, random: Random) -> None:
    if shape.ports == "rom":
        digits = -(-shape.width // 4)
        words = (random.getrandbits(shape.width) for _ in range(shape.depth))
        (folder / f"{number}.hex").write_text("".join(f"{word:0{digits}x}\n" for word in words))
    text = _SOURCES[shape.ports].format(
        a=max(0, (shape.depth - 1).bit_length() - 1),
        w=shape.width - 1,
        d=shape.depth - 1,
        file=f"{number}.hex",
    )
    (folder / f"{number}.v").write_text(text)


def _blocks(path: Path) -> int:
    text = path.read_text()
    cells: Mapping[str, int] = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    return sum(count * _BLOCKS.get(cell, 0) for cell, count in cells.items())

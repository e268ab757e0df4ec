"""Netlists as Verilog for Icarus, and the models of the cells that yosys has as black boxes."""

import shutil
import subprocess

import pytest

from benchmarks.gates.models import models
from benchmarks.gates.netlist import netlist_verilog, register_faults

INIT = "".join(f"{value:020b}" for value in reversed(range(100, 116)))


def block(width, register):
    """Return a netlist with a block RAM that holds 100 + address in its first 16 words."""
    pins = {f"AD{port}{bit}": ["0"] for port in "AB" for bit in range(14)}
    pins |= {f"ADA{bit + {18: 4, 9: 3}[width]}": [10 + bit] for bit in range(4)}
    pins |= {f"DI{port}{bit}": ["0"] for port in "AB" for bit in range(18)}
    pins |= {f"CS{port}{bit}": ["0"] for port in "AB" for bit in range(3)}
    for port in "AB":
        pins |= {f"CLK{port}": [2], f"CE{port}": ["1"], f"OCE{port}": ["1"]}
        pins |= {f"WE{port}": ["0"], f"RST{port}": ["0"]}
    pins |= {f"DOA{bit}": [100 + bit] for bit in range(18)}
    cell = {
        "type": "DP16KD",
        "parameters": {"DATA_WIDTH_A": f"{width:032b}", "REGMODE_A": register, "INITVAL_00": INIT},
        "connections": pins,
    }
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "at": {"direction": "input", "bits": [10, 11, 12, 13]},
        "q": {"direction": "output", "bits": [100 + bit for bit in range(18)]},
    }
    return {"modules": {"top": {"ports": ports, "cells": {"ram": cell}}}}


BENCH = """
module bench;
  reg clk = 0; reg [3:0] at = 0; wire [17:0] q;
  top top(.clk(clk), .at(at), .q(q));
  initial repeat (8) begin
    #1 clk = 1; #1 $display("%0d", q); clk = 0; at = at + 1;
  end
endmodule
"""


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
@pytest.mark.parametrize(
    ("width", "register", "expected"),
    [
        (18, "NOREG", [100, 101, 102, 103, 104, 105, 106, 107]),
        (18, "OUTREG", [0, 100, 101, 102, 103, 104, 105, 106]),
        (9, "NOREG", [100, 0, 101, 0, 102, 0, 103, 0]),
    ],
)
def test_a_block_ram_is_read(tmp_path, width, register, expected):
    text = netlist_verilog(block(width, register), "top") + models() + BENCH
    (tmp_path / "t.v").write_text(text)
    subprocess.run(["iverilog", "-g2012", "-o", "t", "t.v"], cwd=tmp_path, check=True)
    run = subprocess.run(["vvp", "-n", "t"], cwd=tmp_path, capture_output=True, text=True)
    assert list(map(int, run.stdout.split())) == expected


def test_a_register_is_left_out():
    (fault,) = register_faults(block(18, "OUTREG"), "top", 3, 0)
    assert fault[0] == "DP16KD ram without its output register"
    assert fault[1] == block(18, "NOREG")
    assert not list(register_faults(block(18, "NOREG"), "top", 3, 0))

"""Faults that yosys draws: one translation has all of them, and their table."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.mutants import random_netlist
from benchmarks.mutants.drawn import report_text

ROOT = Path(__file__).parents[2]
COUNTER = """
module sqhw_engine(input clk, input rst, input [7:0] step, output reg [7:0] count);
  always @(posedge clk) count <= rst ? 8'd0 : count + step;
endmodule
"""


def test_one_translation_has_all_faults(tmp_path):
    (tmp_path / "engine.v").write_text(COUNTER)
    (tmp_path / random_netlist.DRAW).write_text(json.dumps({"faults": 12, "seed": 1}))
    command = [sys.executable, random_netlist.__file__, "engine.v"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / random_netlist.MUTANTS).read_text())
    assert len(found) == 12
    assert all(kind.startswith("yosys ") and place for kind, place in found)
    assert len({(kind, place) for kind, place in found}) == 12
    code = (tmp_path / "engine.cc").read_text()
    assert "mutant mem" in code


def test_the_share_is_of_all_faults_and_survivors_are_named():
    rows = [["yosys inv", "1 a A 0", "digits", "other"], ["yosys inv", "2 b Y 1", "", ""]]
    record = {"networks": 3, "seed": 1, "rows": rows}
    text = report_text(record | {"measured_on": {"commit": "1234567", "tools": {}}})
    assert "**1 of 2 noticed: 50.0%** (95 %: 9.5% to 90.5%)" in text
    assert "| yosys inv |     2 |       1 | 50.0% |" in text
    assert "2 b Y 1" in text

"""Netlists are compared by what they are connected to, not by names."""

import pytest

from benchmarks.netlist.circuit import read_circuit

FLAT = """
module top (input clk, input a, input [1:0] b, output [1:0] q, output z);
  reg [1:0] one = 0, two = 2;
  always @(posedge clk) begin
    one <= a ? b : two + one;
    two <= one;
  end
  assign q = two;
  assign z = a & one[0];
endmodule
"""
#: The same in two modules, with other names.
NESTED = """
module stage (input clk, input [1:0] first, output reg [1:0] second);
  initial second = 2;
  always @(posedge clk) second <= first;
endmodule
module top (input clk, input a, input [1:0] b, output [1:0] q, output z);
  wire [1:0] late, sum = late + early;
  reg [1:0] early;
  initial early = 0;
  always @(posedge clk) early <= a ? b : sum;
  stage part (.clk(clk), .first(early), .second(late));
  assign q = late;
  assign z = a & early[0];
endmodule
"""


def circuit(text):
    return read_circuit(text, "top")


def test_names_and_modules_make_no_other_circuit():
    assert circuit(FLAT) == circuit(NESTED)
    assert circuit(FLAT).register_bits == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("two = 2", "two = 1"),
        ("two + one", "two - one"),
        ("? b : two", "? two : b"),
        ("two <= one", "two <= {one[0], one[1]}"),
        ("q = two", "q = one"),
        ("a & one[0]", "a & one[1]"),
    ],
)
def test_another_connection_is_another_circuit(old, new):
    assert FLAT.count(old) == 1
    assert circuit(FLAT.replace(old, new)) != circuit(FLAT)

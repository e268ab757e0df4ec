// Synchronous ROM with its content in a file: data is mem[addr] of the clock edge before.
`default_nettype none
module sqhw_rom #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDR = 8,
    parameter FILE = ""
) (
    input  wire             clk,
    input  wire [ ADDR-1:0] addr,
    output reg  [WIDTH-1:0] data
);
  reg [WIDTH-1:0] mem[0:DEPTH-1];
  generate
    if (FILE != "") begin : content
      initial $readmemh(FILE, mem);
    end
  endgenerate
  always @(posedge clk) data <= mem[addr];
endmodule
`default_nettype wire

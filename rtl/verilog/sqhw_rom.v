// Synchronous ROM with its content in a file: data is mem[addr] of the clock edge before.
`default_nettype none
module sqhw_rom #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDR = 8,
    parameter FILE = "rom.hex"
) (
    input  wire             clk,
    input  wire [ ADDR-1:0] addr,
    output reg  [WIDTH-1:0] data
);
  (* ram_style = "block" *) reg [WIDTH-1:0] mem[0:DEPTH-1];
  initial $readmemh(FILE, mem);
  always @(posedge clk) data <= mem[addr];
endmodule
`default_nettype wire

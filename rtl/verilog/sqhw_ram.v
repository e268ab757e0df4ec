// Synchronous RAM, one write and one read port; a read in the cycle of a write gives the old word.
`default_nettype none
module sqhw_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 512,
    parameter ADDR = 9
) (
    input  wire             clk,
    input  wire             write_en,
    input  wire [ ADDR-1:0] write_addr,
    input  wire [WIDTH-1:0] write_data,
    input  wire [ ADDR-1:0] read_addr,
    output reg  [WIDTH-1:0] read_data
);
  reg [WIDTH-1:0] mem[0:DEPTH-1];
  always @(posedge clk) begin
    if (write_en) mem[write_addr] <= write_data;
    read_data <= mem[read_addr];
  end
endmodule
`default_nettype wire

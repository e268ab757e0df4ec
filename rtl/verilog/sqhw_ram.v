// Synchronous RAM, one write and one read port. What is read of a word in the cycle in which it is
// written is undefined: block RAM does not promise it, and to emulate a promise costs logic.
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
  (* no_rw_check *) reg [WIDTH-1:0] mem[0:DEPTH-1];
  always @(posedge clk) begin
    if (write_en) mem[write_addr] <= write_data;
    read_data <= mem[read_addr];
`ifdef __ICARUS__
    if (write_en && write_addr == read_addr) read_data <= {WIDTH{1'bx}};
`endif
  end
endmodule
`default_nettype wire

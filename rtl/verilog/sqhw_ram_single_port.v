// Synchronous RAM, one port that reads or writes in a cycle. What is read in a cycle in which a word
// is written is undefined. Nothing has an initial value: such RAM cannot be initialised.
//
// A word of 8 bits is a word of the RAM. If there are more than WORDS of them, two are the bytes of
// a word of 16 bits, whose high byte has the upper half of the addresses.
`default_nettype none
module sqhw_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 512,
    parameter ADDR = 9
) (
    input  wire             clk,
    input  wire             write_en,
    input  wire [ ADDR-1:0] addr,
    input  wire [WIDTH-1:0] write_data,
    output wire [WIDTH-1:0] read_data
);
  localparam WORDS = 16384;
  generate
    if (DEPTH <= WORDS) begin : single
      (* ram_style = "huge" *) reg [WIDTH-1:0] mem[0:DEPTH-1];
      reg [WIDTH-1:0] word;
      always @(posedge clk) begin
        if (write_en) mem[addr] <= write_data;
        else word <= mem[addr];
`ifdef __ICARUS__
        if (write_en) word <= {WIDTH{1'bx}};
`endif
      end
      assign read_data = word;
    end else begin : double
      (* ram_style = "huge" *) reg [2*WIDTH-1:0] mem[0:DEPTH/2-1];
      reg [2*WIDTH-1:0] word;
      reg high;
      always @(posedge clk) begin
        if (write_en) begin
          if (addr[ADDR-1]) mem[addr[ADDR-2:0]][2*WIDTH-1:WIDTH] <= write_data;
          else mem[addr[ADDR-2:0]][WIDTH-1:0] <= write_data;
        end else word <= mem[addr[ADDR-2:0]];
        high <= addr[ADDR-1];
`ifdef __ICARUS__
        if (write_en) word <= {2 * WIDTH{1'bx}};
`endif
      end
      assign read_data = high ? word[2*WIDTH-1:WIDTH] : word[WIDTH-1:0];
    end
  endgenerate
endmodule
`default_nettype wire

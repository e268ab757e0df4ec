// Synchronous ROM with its content in a file: data is mem[addr] of the clock edge before.
/* verilator lint_save */
/* verilator lint_off DECLFILENAME */ // three modules of a kind in one file
/* verilator lint_off UNUSED */       // an address may have more bits than the words need
/* verilator lint_off WIDTH */        // the same
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

// The same as a piece of a deeper or wider ROM: block RAM, however small it is.
module sqhw_rom_piece #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDR = 8,
    parameter FILE = ""
) (
    input  wire             clk,
    input  wire [ ADDR-1:0] addr,
    output reg  [WIDTH-1:0] data
);
  (* ram_style = "block" *) reg [WIDTH-1:0] mem[0:DEPTH-1];
  generate
    if (FILE != "") begin : content
      initial $readmemh(FILE, mem);
    end
  endgenerate
  always @(posedge clk) data <= mem[addr];
endmodule

// The first one with a write port. What is read in the cycle in which it is written is undefined.
module sqhw_rom_rw #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDR = 8,
    parameter FILE = ""
) (
    input  wire             clk,
    input  wire             write_en,
    input  wire [ ADDR-1:0] write_addr,
    input  wire [WIDTH-1:0] write_data,
    input  wire [ ADDR-1:0] addr,
    output reg  [WIDTH-1:0] data
);
  reg [WIDTH-1:0] mem[0:DEPTH-1];
  generate
    if (FILE != "") begin : content
      initial $readmemh(FILE, mem);
    end
  endgenerate
  always @(posedge clk) begin
    if (write_en) mem[write_addr] <= write_data;
    data <= mem[addr];
`ifdef YOSYS
    // Else yosys adds logic on iCE40 that gives the old word.
    if (write_en && write_addr == addr) data <= {WIDTH{1'bx}};
`endif
  end
endmodule
`default_nettype wire
/* verilator lint_restore */

// The engine, and a check of every activation that it writes back. The expected bytes are in
// activations.hex, their places in places.hex. The first difference of an image is printed and kept
// in the outputs first_*; `differences` counts all since the last start.
`timescale 1ns / 1ps
`default_nettype none
/* verilator lint_off WIDTH */
module @NAME@_bench_top (
    input  wire        clk,
    input  wire        rst,
    input  wire [31:0] image,
    input  wire        start,
    output wire        ready,
    output wire        busy,
    output wire        done,
    output wire [31:0] cycles,
    input  wire        in_valid,
    input  wire [ 7:0] in_data,
    output wire        in_ready,
    output wire        out_valid,
    output wire [ 7:0] out_data,
    output wire        out_last,
    input  wire        out_ready,
    output reg  [31:0] differences,
    output reg  [31:0] written,
    output reg  [15:0] first_layer,
    output reg  [15:0] first_channel,
    output reg  [15:0] first_row,
    output reg  [15:0] first_column,
    output reg  [ 7:0] first_found,
    output reg  [ 7:0] first_expected
);
  localparam WB_BITS = @WB_BITS@;
  localparam BYTES = @BYTES@;
  localparam IMAGES = @IMAGES@;

  wire wb_valid;
  wire wb_group;
  wire [WB_BITS-1:0] wb_data;

  @NAME@_engine engine (
@TIED@      .clk(clk),
      .rst(rst),
      .start(start),
      .ready(ready),
      .busy(busy),
      .done(done),
      .cycles(cycles),
      .in_valid(in_valid),
      .in_data(in_data),
      .in_ready(in_ready),
      .in_last(),
      .out_valid(out_valid),
      .out_data(out_data),
      .out_last(out_last),
      .out_ready(out_ready),
      .wb_valid(wb_valid),
      .wb_data(wb_data),
      .wb_group(wb_group)
  );

  // Bit 8 marks a byte beyond its map, which may be anything.
  reg [ 8:0] activations[0:IMAGES*BYTES-1];
  reg [63:0] places     [0:BYTES-1];
  initial begin
    $readmemh("activations.hex", activations);
    $readmemh("places.hex", places);
  end

  integer i, count;
  reg [8:0] expected;
  reg [7:0] found;
  always @(posedge clk) begin
    if (rst || (start && ready)) begin
      differences = 0;
      written = 0;
    end else if (wb_valid) begin
      count = wb_group ? WB_BITS / 8 : 1;
      for (i = 0; i < count; i = i + 1) begin
        expected = written < BYTES ? activations[image*BYTES+written] : 9'h100;
        found = wb_data[8*i+:8];
        if (!expected[8] && found !== expected[7:0]) begin
          if (differences == 0) begin
            {first_layer, first_channel, first_row, first_column} = places[written];
            first_found = found;
            first_expected = expected[7:0];
            $write("DIFFERENCE in image %0d, layer ", image);
            write_layer(first_layer);
            $display(", channel %0d, row %0d, column %0d: %h instead of %h (hex)", first_channel,
                     first_row, first_column, first_found, first_expected);
          end
          differences = differences + 1;
        end
        written = written + 1;
      end
    end
  end

  task write_layer(input [15:0] layer);
    case (layer)
@LAYERS@
      default: $write("%0d", layer);
    endcase
  endtask
endmodule
`default_nettype wire

// Test bench top: the engine, and a file with what it writes back, a byte or a group a line.
module sqhw_bench #(
    parameter WB_BITS = 8
) (
    input  wire        clk,
    input  wire        rst,
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
    input  wire        out_ready
);
  wire wb_valid;
  wire wb_group;
  wire [WB_BITS-1:0] wb_data;

  sqhw_engine engine (
      .clk(clk),
      .rst(rst),
      .start(start),
      .ready(ready),
      .busy(busy),
      .done(done),
      .cycles(cycles),
      .in_valid(in_valid),
      .in_data(in_data),
      .in_ready(in_ready),
      .out_valid(out_valid),
      .out_data(out_data),
      .out_last(out_last),
      .out_ready(out_ready),
      .wb_valid(wb_valid),
      .wb_data(wb_data),
      .wb_group(wb_group)
  );

  integer file;
  initial file = $fopen("writeback.hex", "w");
  always @(posedge clk) begin
    if (wb_valid) begin
      if (wb_group) $fwrite(file, "%h\n", wb_data);
      else $fwrite(file, "%h\n", wb_data[7:0]);
    end
    if (done) $fflush(file);
  end
endmodule

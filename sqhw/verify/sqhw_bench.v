// Test bench top: the engine, and a file with every byte that it writes back.
module sqhw_bench (
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
  wire [7:0] wb_data;

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
      .wb_data(wb_data)
  );

  integer file;
  initial file = $fopen("writeback.hex", "w");
  always @(posedge clk) begin
    if (wb_valid) $fwrite(file, "%h\n", wb_data);
    if (done) $fflush(file);
  end
endmodule

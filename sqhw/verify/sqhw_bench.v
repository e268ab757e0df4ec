// Test bench top: the engine, and a file with what it writes back, a byte or a group a line; each run
// begins with a line "run".
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
    output reg  [31:0] counted,
    output reg  [ 8:0] violations,
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
  wire in_last;
  wire [WB_BITS-1:0] wb_data;

  `ENGINE engine (
`ifdef WRITABLE
      .rom_write_en(1'b0),
      .rom_write_select(0),
      .rom_write_addr(0),
      .rom_write_data(0),
      .reload(1'b0),
`endif
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
      .in_last(in_last),
      .out_valid(out_valid),
      .out_data(out_data),
      .out_last(out_last),
      .out_ready(out_ready),
      .wb_valid(wb_valid),
      .wb_data(wb_data),
      .wb_group(wb_group)
  );

  // The bench counts cycles by itself, from the one of start to the one of done.
  reg running;
  always @(posedge clk)
    if (rst) {running, counted} <= 0;
    else begin
      if (start && ready) {running, counted} <= {1'b1, 32'd1};
      else if (running && !done) counted <= counted + 1;
      if (done) running <= 0;
    end

  // Pixels since the last one of a frame.
  reg [31:0] pixels;
  always @(posedge clk)
    if (rst) pixels <= 0;
    else if (in_valid && in_ready) pixels <= in_last ? 0 : pixels + 1;

  // Rules of the interface, watched in every cycle; a bit is set when one is broken. The names are in
  // bench.py.
  reg was_done, stalled, was_last;
  reg [7:0] was_data;
  wire undefined = (^{ready, busy, done, in_ready, out_valid}) === 1'bx;
  wire changed = !(out_valid && out_data === was_data && out_last === was_last);
  wire [8:0] broken = {
    counted == 0 && cycles !== 0,
    undefined,
    stalled && changed,
    (done && was_done) || (done && !running),
    busy !== (running && !done),
    ready && (busy || running),
    in_ready !== (ready && !start) || (in_ready && out_valid),
    start && ready && pixels != 0,
    wb_valid && !running
  };
  always @(posedge clk)
    if (rst) {violations, was_done, stalled, was_last, was_data} <= 0;
    else begin
      was_done <= done;
      stalled <= out_valid && !out_ready;
      was_last <= out_last;
      was_data <= out_data;
      violations <= violations | broken;
    end

  integer file;
  initial file = $fopen("writeback.hex", "w");
  always @(posedge clk) begin
    if (!rst && start && ready) $fwrite(file, "run\n");
    if (wb_valid) begin
      if (wb_group) $fwrite(file, "%h\n", wb_data);
      else $fwrite(file, "%h\n", wb_data[7:0]);
    end
    if (done) $fflush(file);
  end
endmodule

// A bench without cocotb: it sends the images of pixels.hex through the engine, with pauses, and
// compares activations, results and cycles. The last line that it prints is PASS or FAIL.
`timescale 1ns / 1ps
`default_nettype none
/* verilator lint_off WIDTH */
module @NAME@_bench_plain;
  localparam IMAGES = @IMAGES@;
  localparam PIXELS = @PIXELS@;
  localparam RESULTS = @RESULTS@;
  localparam BYTES = @BYTES@;
  localparam CHANNELS = @CHANNELS@;  // of the result
  localparam WIDTH = @WIDTH@;  // of the result
  localparam CYCLES = @CYCLES@;  // from start to done
  localparam PATIENCE = @PATIENCE@;  // cycles of any other wait

  reg clk = 0;
  always #5 clk = !clk;

  reg rst = 1, start = 0, in_valid = 0, out_ready = 0;
  reg [7:0] in_data = 0;
  integer image = 0;
  wire ready, busy, done, in_ready, out_valid, out_last;
  wire [31:0] cycles, differences, written;
  wire [7:0] out_data;

  @NAME@_bench_top top (
      .clk(clk),
      .rst(rst),
      .image(image),
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
      .differences(differences),
      .written(written),
      .first_layer(),
      .first_channel(),
      .first_row(),
      .first_column(),
      .first_found(),
      .first_expected()
  );

  reg [7:0] pixels [0:IMAGES*PIXELS-1];
  reg [7:0] results[0:IMAGES*RESULTS-1];
  integer i, waited, failures, wrong;
  reg [15:0] noise = 16'hACE1;  // when the streams pause

  task fail_wait(input [8*16-1:0] name, input integer limit);
    begin
      $display("image %0d: waited %0d cycles for %0s", image, limit, name);
      $display("FAIL");
      $finish(0);
    end
  endtask

  always @(posedge clk) noise <= {noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]};

  initial begin
    $readmemh("pixels.hex", pixels);
    $readmemh("results.hex", results);
    failures = 0;
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    for (image = 0; image < IMAGES; image = image + 1) begin
      waited = 0;
      while (ready !== 1) begin
        @(posedge clk);
        waited = waited + 1;
        if (waited > PATIENCE) fail_wait("ready", PATIENCE);
      end
      for (i = 0; i < PIXELS; i = i + 1) begin
        if (&noise[1:0]) begin
          in_valid <= 0;
          @(posedge clk);
        end
        in_valid <= 1;
        in_data  <= pixels[image*PIXELS+i];
        @(posedge clk);
        waited = 0;
        while (in_ready !== 1) begin
          @(posedge clk);
          waited = waited + 1;
          if (waited > PATIENCE) fail_wait("in_ready", PATIENCE);
        end
      end
      in_valid <= 0;
      start <= 1;
      @(posedge clk);
      start <= 0;
      waited = 0;
      while (done !== 1) begin
        @(posedge clk);
        waited = waited + 1;
        if (waited > CYCLES + 1) fail_wait("done", CYCLES + 1);
      end
      @(posedge clk);
      if (differences !== 0) begin
        $display("image %0d: %0d of %0d activations differ", image, differences, BYTES);
        failures = failures + 1;
      end
      if (written !== BYTES) begin
        $display("image %0d: %0d activations written instead of %0d", image, written, BYTES);
        failures = failures + 1;
      end
      if (cycles !== CYCLES) begin
        $display("image %0d: %0d cycles instead of %0d", image, cycles, CYCLES);
        failures = failures + 1;
      end
      wrong  = 0;
      i      = 0;
      waited = 0;
      while (i < RESULTS) begin
        out_ready <= !(&noise[1:0]);
        @(posedge clk);
        waited = waited + 1;
        if (waited > PATIENCE) fail_wait("a result", PATIENCE);
        if (out_valid === 1 && out_ready) begin
          waited = 0;
          if (out_data !== results[image*RESULTS+i]) begin
            if (wrong == 0)
              $display("DIFFERENCE in image %0d, result of channel %0d, row %0d, column %0d: %h instead of %h (hex)",
                       image, i % CHANNELS, i / CHANNELS / WIDTH, i / CHANNELS % WIDTH, out_data,
                       results[image*RESULTS+i]);
            wrong = wrong + 1;
          end
          if (out_last !== (i == RESULTS - 1)) begin
            $display("image %0d: out_last is %b at result %0d of %0d", image, out_last, i + 1,
                     RESULTS);
            wrong = wrong + 1;
          end
          i = i + 1;
        end
      end
      out_ready <= 0;
      @(posedge clk);
      if (wrong != 0) failures = failures + 1;
    end
    if (failures == 0) begin
      $display("%0d images: %0d activations, %0d results and %0d cycles each as expected", IMAGES, BYTES,
               RESULTS, CYCLES);
      $display("PASS");
    end else $display("FAIL");
    $finish(0);
  end
endmodule
`default_nettype wire

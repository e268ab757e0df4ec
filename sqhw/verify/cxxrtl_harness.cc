// Drives the engine that CXXRTL has made of its Verilog: sends pixels, takes results, counts cycles,
// resets in the middle and watches the rules of the interface in every cycle. Values are compared by
// the caller.
//
//   harness SEED PIXELS RESULTS WRITEBACK READY RUN RESULT KEEP FRAMES IN OUT NAME=FILE...
//
// PIXELS, RESULTS and WRITEBACK are bytes a run. READY, RUN and RESULT are the longest that the engine
// may take to be ready, to be done and to give the next result, in cycles (`sqhw.verify.waits`). The
// file FRAMES says how to drive each frame (`sqhw.verify.stimulus`), IN has the pixels of all runs. OUT
// gets, for each frame that goes through, the cycles that the harness counted and those that the engine
// did (32 bits each), the results and, if KEEP is 1, the bytes written back. Each ROM NAME takes the
// words of a $readmemh FILE. Printed are all clock cycles and the processor's seconds.

#include "cxxrtl_common.h"

namespace {

using namespace harness;

struct Interrupted {};

class Bench {
  Engine engine_;

 public:
  explicit Bench(const Job &job) : memories(engine_), job_(job) {}

  // What is offered meanwhile must be ignored.
  void reset(unsigned cycles) {
    engine_.p_rst.set(true);
    for (; cycles; cycles--) step();
    engine_.p_rst.set(false);
    quiet();
  }

  // Runs one frame; if it goes through, appends it to `out`.
  void run(const Frame &frame, const unsigned char *pixels, bool keep, Bytes *out) {
    frame_ = frame;
    written_.clear();
    try {
      wait_for_ready();
      send(pixels);
      start();
      compute();
      step();
      if (written_.size() != job_.writeback)
        fail(where() + std::to_string(written_.size()) + " bytes written back instead of " +
             std::to_string(job_.writeback));
      const uint32_t counts[2] = {counted_, now_.cycles};
      const auto *bytes = reinterpret_cast<const unsigned char *>(counts);
      out->insert(out->end(), bytes, bytes + sizeof counts);
      receive(out);
      if (keep) out->insert(out->end(), written_.begin(), written_.end());
    } catch (const Interrupted &) {
      reset(frame.reset);
    }
  }

  Memories memories;
  unsigned index = 0;  // of the frame, for messages
  uint64_t total = 0;  // cycles

 private:
  std::string where() const { return std::to_string(index) + ": "; }

  [[noreturn]] void waited(unsigned cycles, const std::string &what) const {
    fail(where() + "waited " + std::to_string(cycles) + " cycles for " + what +
         ", which by the schedule comes within " + std::to_string(cycles));
  }

  // The frame ends here in a reset, if it is to.
  void interrupt(Phase phase, unsigned at) const {
    if (frame_.phase == phase && frame_.at == at) throw Interrupted();
  }

  void wait(unsigned cycles) {
    for (; cycles; cycles--) step();
  }

  // Offers nothing and listens to nothing.
  void quiet() {
    engine_.p_start.set(false);
    engine_.p_out__ready.set(false);
    offer(false);
  }

  // Offers any pixel, or none.
  void offer(bool valid) {
    engine_.p_in__valid.set(valid);
    if (valid) engine_.p_in__data.set<uint8_t>(noise() >> 40);
  }

  // Sets `start` and offers a pixel when neither may be taken.
  void disturb(bool on) {
    engine_.p_start.set(on);
    offer(on);
  }

  // One clock cycle. The outputs seen are those just before the rising edge. Nothing in the engine
  // looks at the falling edge, which is therefore not simulated.
  void step() {
    engine_.prev_p_clk.set(false);
    engine_.p_clk.set(true);
    if (!engine_.eval()) refuse("the engine has combinational feedback");
    sample();
    if (number(engine_.p_rst)) forget();
    else watch();
    engine_.commit();
    total++;
  }

  void sample() {
    before_ = now_;
    now_.ready = number(engine_.p_ready);
    now_.busy = number(engine_.p_busy);
    now_.done = number(engine_.p_done);
    now_.cycles = number(engine_.p_cycles);
    now_.in_ready = number(engine_.p_in__ready);
    now_.in_last = number(engine_.p_in__last);
    now_.out_valid = number(engine_.p_out__valid);
    now_.out_last = number(engine_.p_out__last);
    now_.out_data = number(engine_.p_out__data);
    now_.stalled = now_.out_valid && !number(engine_.p_out__ready);
  }

  // In a reset nothing is expected of the engine.
  void forget() {
    running_ = due_ = false;
    counted_ = 0;
    now_.done = now_.stalled = false;
  }

  // Checks the rules, counts cycles and keeps what is written back.
  void watch() {
    if (now_.done && (before_.done || !running_)) fail(where() + "done comes when nothing ends");
    if (now_.busy != (running_ && !now_.done))
      fail(where() + "busy is not high from start to done");
    if (counted_ == 0 && now_.cycles) fail(where() + "cycles is not 0 from a reset to the first start");
    if (now_.ready && (now_.busy || running_)) fail(where() + "ready while the engine works");
    if (now_.in_ready && (now_.busy || running_ || now_.out_valid))
      fail(where() + "in_ready while the engine works");
    if (now_.out_valid && !due_) fail(where() + "a result comes when none is due");
    if (before_.stalled && !(now_.out_valid && now_.out_data == before_.out_data &&
                             now_.out_last == before_.out_last))
      fail(where() + "a result changes while it waits for out_ready");
    if (number(engine_.p_wb__valid)) {
      if (!running_) fail(where() + "an activation is written back when nothing runs");
      const auto &bytes = read(engine_.p_wb__data);
      const size_t width = number(engine_.p_wb__group) ? bytes.bits / 8 : 1;
      for (size_t at = 0; at < width; at++)
        written_.push_back(bytes.data[at / 4] >> (8 * (at % 4)) & 0xFF);
    }
    if (running_ && !now_.done) counted_++;
    if (now_.done) {
      running_ = false;
      due_ = true;
    }
    if (now_.ready && number(engine_.p_start)) {
      running_ = true;
      counted_ = 1;
    }
  }

  void wait_for_ready() {
    for (unsigned cycle = 0; cycle < job_.ready; cycle++) {
      interrupt(kBoot, cycle);
      disturb(cycle < frame_.early);
      step();
      if (now_.ready) return;
    }
    waited(job_.ready, "ready");
  }

  void send(const unsigned char *pixels) {
    unsigned cycle = 0;
    if (frame_.phase == kReady) {
      wait(frame_.at);
      throw Interrupted();
    }
    for (unsigned pixel = 0; pixel < job_.pixels; pixel++) {
      interrupt(kPixels, pixel);
      if (pixel == frame_.pixel_stall_at) wait(frame_.pixel_stall);
      while (!(frame_.valid >> (cycle++ % 64) & 1)) step();
      engine_.p_in__valid.set(true);
      engine_.p_in__data.set<uint8_t>(pixels[pixel]);
      step();
      if (!now_.in_ready)
        fail(where() + "pixel " + std::to_string(pixel) + " is not taken: in_ready is low");
      if (now_.in_last != (pixel + 1 == job_.pixels))
        fail(where() + "in_last is wrong at pixel " + std::to_string(pixel));
      engine_.p_in__valid.set(false);
    }
    interrupt(kPixels, job_.pixels);
    wait(frame_.delay);
  }

  void start() {
    disturb(true);
    interrupt(kStart, 0);
    step();
    if (now_.in_ready) fail(where() + "a pixel is taken in the cycle of start");
  }

  // Waits for `done`; what is offered meanwhile must be ignored.
  void compute() {
    for (unsigned cycle = 1; cycle <= job_.run; cycle++) {
      interrupt(kRun, cycle);
      disturb(cycle >= frame_.busy_from && (frame_.held || cycle < frame_.busy_to));
      step();
      if (now_.done) return;
    }
    waited(job_.run, "done");
  }

  // Takes the results, with back-pressure.
  void receive(Bytes *out) {
    unsigned count = 0, idle = 0, here = 0;
    unsigned stall = frame_.result_stall_at == 0 ? frame_.result_stall : 0;
    for (unsigned cycle = 0;; cycle++) {
      if (frame_.phase == kResults && (count > frame_.at || (count == frame_.at && here++ == frame_.after)))
        throw Interrupted();
      const bool listens = stall == 0 && (frame_.listen >> (cycle % 64) & 1);
      if (stall) stall--;
      engine_.p_out__ready.set(listens);
      step();
      if (!now_.out_valid && ++idle > job_.result)
        waited(job_.result, "result " + std::to_string(count + 1) + " of " +
                                std::to_string(job_.results));
      if (!listens || !now_.out_valid) continue;
      out->push_back(now_.out_data);
      count++;
      if (now_.out_last != (count == job_.results))
        fail(where() + "out_last is " + (now_.out_last ? "high" : "low") + " at result " +
             std::to_string(count) + " of " + std::to_string(job_.results));
      if (now_.out_last) break;
      idle = 0;
      if (count == frame_.result_stall_at) stall = frame_.result_stall;
    }
    due_ = false;
    quiet();
    if (frame_.phase == kResults) throw Interrupted();
  }

  const Job job_;
  Frame frame_{};
  Bytes written_;
  struct Ports {
    bool ready, busy, done, in_ready, in_last, out_valid, out_last, stalled;
    unsigned char out_data;
    uint32_t cycles;
  };
  Ports now_{}, before_{};
  uint32_t counted_ = 0;
  bool running_ = false;   // from start to done
  bool due_ = false;       // from done to the last result
};

}  // namespace

int main(int argc, char **argv) {
  Arguments given(argc, argv, 1);
  const bool keep = given.own_numbers[0];
  Bench bench(given.job);
  given.load_roms(bench.memories);
  Bytes record;
  Frame frame;
  bench.reset(1 + below(5));
  for (; given.frames.read(reinterpret_cast<char *>(&frame), sizeof frame); bench.index++) {
    const size_t first = static_cast<size_t>(frame.run) * given.job.pixels;
    if (first + given.job.pixels > given.pixels.size()) refuse("too few pixels");
    record.clear();
    bench.run(frame, given.pixels.data() + first, keep, &record);
    if (frame.phase == kWhole)
      given.out.write(reinterpret_cast<const char *>(record.data()), record.size());
  }
  if (given.frames.gcount()) refuse("the last frame is not whole");
  given.finish(bench.total);
  return 0;
}

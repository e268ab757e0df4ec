// Drives an engine of several cores that CXXRTL has made of its Verilog. One side sends frames, the
// other takes results, at the same time; resets come in between. Rules of the interface and cycles are
// watched in every cycle. Values are compared by the caller.
//
//   harness SEED PIXELS RESULTS WRITEBACK READY RUN RESULT KEEP CORES FRAMES IN OUT NAME=FILE...
//
// The arguments are those of ``cxxrtl_harness.cc``, and the number of cores. A frame that ends in a
// reset is driven up to its moment while the frames before it run on. The reset ends these too; they
// are sent again after it. OUT gets the same for each frame that goes through.
#include <deque>

#include "cxxrtl_common.h"

namespace {

using namespace harness;

class Bench {
  Engine engine_;

 public:
  Bench(const Job &job, unsigned cores, std::vector<Frame> frames, Bytes pixels, bool keep)
      : memories(engine_), job_(job), cores_(cores), keep_(keep), frames_(std::move(frames)),
        pixels_(std::move(pixels)), written_(cores) {
    for (unsigned at = 0; at < frames_.size(); at++) todo_.push_back(at);
  }

  // Runs all frames; returns the records of those that go through.
  Bytes run() {
    reset(1 + below(5));
    while (!todo_.empty() || !flying_.empty()) {
      drive_pixels();
      drive_results();
      step();
      watch();
      take_pixels();
      take_results();
      if (++quiet_ > limit_) fail(where() + "nothing happens for " + std::to_string(quiet_) + " cycles");
      if (reset_now_) interrupt();
    }
    return std::move(out_);
  }

  Memories memories;
  uint64_t total = 0;  // cycles

 private:
  // A frame between its start and its last result.
  struct Flight {
    unsigned frame;
    uint64_t start;
    uint64_t done = 0;  // 0 while it runs
    uint32_t cycles = 0, counter = 0;
    Bytes results;
  };

  enum class Send { kPixels, kDelay, kStart, kRest };

  std::string where() const {
    const unsigned index = !flying_.empty() ? flying_.front().frame : todo_.empty() ? 0 : todo_.front();
    return std::to_string(index) + ": ";
  }

  void reset(unsigned cycles) {
    engine_.p_rst.set(true);
    for (; cycles; cycles--) step();
    engine_.p_rst.set(false);
    send_ = Send::kPixels;
    pixel_ = clock_ = waited_ = quiet_ = 0;
    stalled_ = reset_now_ = false;
    told_ = nullptr;
    begun_ = 0;
    was_working_ = false;
    for (auto &bytes : written_) bytes.clear();
    // No run takes longer than its wait, nor do all stalls.
    limit_ = job_.ready + job_.run + job_.result + 10000;
  }

  // Resets in the middle of a frame; those in flight are sent again.
  void interrupt() {
    const Frame frame = frames_[todo_.front()];
    todo_.pop_front();
    for (; !flying_.empty(); flying_.pop_back())
      if (frames_[flying_.back().frame].phase == kWhole) todo_.push_front(flying_.back().frame);
    reset(frame.reset);
  }

  void step() {
    engine_.prev_p_clk.set(false);
    engine_.p_clk.set(true);
    if (!engine_.eval()) refuse("the engine has combinational feedback");
    now_.ready = number(engine_.p_ready);
    now_.busy = number(engine_.p_busy);
    now_.done = number(engine_.p_done);
    now_.idle = number(engine_.p_idle);
    now_.working = number(engine_.p_working);
    now_.cycles = number(engine_.p_cycles);
    now_.in_ready = number(engine_.p_in__ready);
    now_.in_last = number(engine_.p_in__last);
    now_.out_valid = number(engine_.p_out__valid);
    now_.out_last = number(engine_.p_out__last);
    now_.out_data = number(engine_.p_out__data);
    if (!number(engine_.p_rst)) keep_written();
    engine_.commit();
    total++;
  }

  void keep_written() {
    const auto &valid = read(engine_.p_wb__valid), &group = read(engine_.p_wb__group);
    const auto &bytes = read(engine_.p_wb__data);
    const size_t each = bytes.bits / 8 / cores_;
    for (size_t core = 0; core < cores_; core++) {
      if (!(valid.data[0] >> core & 1)) continue;
      const size_t width = group.data[0] >> core & 1 ? each : 1;
      for (size_t at = each * core; at < each * core + width; at++)
        written_[core].push_back(bytes.data[at / 4] >> (8 * (at % 4)) & 0xFF);
    }
  }

  // Checks the rules that hold in every cycle, and counts the cycles of the runs.
  void watch() {
    unsigned running = 0;
    Flight *oldest = nullptr;  // that runs
    for (auto &flight : flying_)
      if (flight.done == 0 && running++ == 0) oldest = &flight;
    if (told_) told_->counter = now_.cycles;
    told_ = nullptr;
    if (now_.done) {
      if (!oldest) fail(where() + "done comes when nothing ends");
      oldest->done = total;
      oldest->cycles = uint32_t(total - oldest->start);
      told_ = oldest;
      running--;
      quiet_ = 0;
    }
    if (oldest && total - oldest->start > job_.run) fail(where() + "done does not come in time");
    if (now_.busy != (running > 0)) fail(where() + "busy does not tell whether a network runs");
    if (now_.working != was_working_) fail(where() + "working is not high from start to the last result");
    if (now_.idle && (running || !now_.ready)) fail(where() + "idle while a core works");
    if (now_.in_ready && !now_.ready) fail(where() + "in_ready without ready");
    if (begun_ == 0 && now_.cycles) fail(where() + "cycles is not 0 from a reset to the first start");
    if (stalled_ && !(now_.out_valid && now_.out_data == held_data_ && now_.out_last == held_last_))
      fail(where() + "a result changes while it waits for out_ready");
    stalled_ = now_.out_valid && !listens_;
    held_data_ = now_.out_data;
    held_last_ = now_.out_last;
  }

  const Frame &sent() const { return frames_[todo_.front()]; }

  // Sets the inputs of the side that sends.
  void drive_pixels() {
    engine_.p_start.set(false);
    engine_.p_in__valid.set(false);
    offers_ = false;
    if (todo_.empty()) return;
    const Frame &frame = sent();
    if (send_ == Send::kPixels) {
      const bool stalls = pixel_ == frame.pixel_stall_at && waited_ < frame.pixel_stall;
      waited_ += stalls;
      offers_ = !stalls && (frame.valid >> (clock_++ % 64) & 1);
      if (frame.phase == kBoot || frame.phase == kReady) offers_ = false;
      if (offers_) {
        engine_.p_in__valid.set(true);
        engine_.p_in__data.set<uint8_t>(pixels_[size_t(frame.run) * job_.pixels + pixel_]);
      }
    } else if (send_ == Send::kStart) {
      engine_.p_start.set(true);
      // Pixels in this cycle must be ignored.
      engine_.p_in__valid.set(true);
      engine_.p_in__data.set<uint8_t>(noise() >> 40);
    }
  }

  // Follows the side that sends, after the cycle.
  void take_pixels() {
    if (todo_.empty()) return;
    const Frame &frame = sent();
    const bool resets = frame.phase != kWhole;
    switch (send_) {
      case Send::kPixels:
        if (resets && frame.phase <= kReady) {
          reset_now_ = waited_++ >= frame.at;
          break;
        }
        if (!offers_ || !now_.in_ready) break;
        if (now_.in_last != (pixel_ + 1 == job_.pixels))
          fail(where() + "in_last is wrong at pixel " + std::to_string(pixel_));
        quiet_ = 0;
        pixel_++;
        if (resets && frame.phase == kPixels && pixel_ == frame.at) reset_now_ = true;
        if (pixel_ == job_.pixels) {
          waited_ = 0;
          send_ = frame.delay ? Send::kDelay : Send::kStart;
        }
        break;
      case Send::kDelay:
        if (++waited_ >= frame.delay) send_ = Send::kStart;
        break;
      case Send::kStart:
        if (!now_.ready) fail(where() + "ready falls between the first pixel and start");
        if (now_.in_ready) fail(where() + "a pixel is taken in the cycle of start");
        if (resets && frame.phase == kStart) {
          reset_now_ = true;
          break;
        }
        flying_.push_back({todo_.front(), total});
        was_working_ = true;
        begun_++;
        waited_ = 0;
        if (resets) {
          send_ = Send::kRest;
          break;
        }
        todo_.pop_front();
        pixel_ = clock_ = 0;
        send_ = Send::kPixels;
        break;
      case Send::kRest:  // until the reset, some cycles after the start or after the run
        const unsigned rest = frame.phase == kRun ? frame.at : job_.run + frame.at + frame.after;
        if (++waited_ >= rest) reset_now_ = true;
        quiet_ = 0;
        break;
    }
  }

  void drive_results() {
    listens_ = false;
    if (!flying_.empty()) {
      const Frame &frame = frames_[flying_.front().frame];
      const size_t count = flying_.front().results.size();
      const bool stalls = count == frame.result_stall_at && count_stall_ < frame.result_stall;
      if (stalls && flying_.front().done) count_stall_++;
      listens_ = !stalls && (frame.listen >> (listen_clock_++ % 64) & 1);
    }
    engine_.p_out__ready.set(listens_);
  }

  void take_results() {
    if (now_.out_valid && (flying_.empty() || !flying_.front().done))
      fail(where() + "a result comes when none is due");
    if (!listens_ || !now_.out_valid) return;
    Flight &flight = flying_.front();
    flight.results.push_back(now_.out_data);
    quiet_ = 0;
    const bool last = flight.results.size() == job_.results;
    if (now_.out_last != last)
      fail(where() + "out_last is wrong at result " + std::to_string(flight.results.size()));
    if (!last) return;
    Bytes &written = written_[(begun_ - flying_.size()) % cores_];
    if (frames_[flight.frame].phase == kWhole) {
      if (written.size() != job_.writeback)
        fail(where() + std::to_string(written.size()) + " bytes written back instead of " +
             std::to_string(job_.writeback));
      const uint32_t counts[2] = {flight.cycles, flight.counter};
      const auto *bytes = reinterpret_cast<const unsigned char *>(counts);
      out_.insert(out_.end(), bytes, bytes + sizeof counts);
      out_.insert(out_.end(), flight.results.begin(), flight.results.end());
      if (keep_) out_.insert(out_.end(), written.begin(), written.end());
    }
    written.clear();
    flying_.pop_front();
    was_working_ = !flying_.empty();
    count_stall_ = 0;
  }

  const Job job_;
  const unsigned cores_;
  const bool keep_;
  const std::vector<Frame> frames_;
  const Bytes pixels_;
  std::deque<unsigned> todo_;  // frames to send, by number
  std::deque<Flight> flying_;
  std::vector<Bytes> written_;  // by each core, of its run
  Bytes out_;
  Flight *told_ = nullptr;  // the run whose `cycles` the engine tells in this cycle
  Send send_ = Send::kPixels;
  unsigned pixel_ = 0, clock_ = 0, waited_ = 0;  // of the frame that is sent
  unsigned count_stall_ = 0, listen_clock_ = 0;
  uint64_t quiet_ = 0, limit_ = 0;
  size_t begun_ = 0;  // runs since the reset
  bool offers_ = false, listens_ = false, reset_now_ = false, was_working_ = false;
  bool stalled_ = false, held_last_ = false;
  unsigned char held_data_ = 0;
  struct {
    bool ready, busy, done, idle, working, in_ready, in_last, out_valid, out_last;
    unsigned char out_data;
    uint32_t cycles;
  } now_{};
};

}  // namespace

int main(int argc, char **argv) {
  Arguments given(argc, argv, 2);
  std::vector<Frame> frames;
  for (Frame frame; given.frames.read(reinterpret_cast<char *>(&frame), sizeof frame);) {
    if ((size_t(frame.run) + 1) * given.job.pixels > given.pixels.size()) refuse("too few pixels");
    frames.push_back(frame);
  }
  if (given.frames.gcount()) refuse("the last frame is not whole");
  Bench bench(given.job, unsigned(given.own_numbers[1]), frames, given.pixels, given.own_numbers[0]);
  given.load_roms(bench.memories);
  const Bytes record = bench.run();
  given.out.write(reinterpret_cast<const char *>(record.data()), record.size());
  given.finish(bench.total);
  return 0;
}

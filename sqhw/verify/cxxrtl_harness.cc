// Drives the engine that CXXRTL has made of its Verilog: sends pixels, takes results, counts cycles
// and watches the rules of the interface in every one of them. Values are compared by the caller.
//
//   harness SEED FIRST RUNS PIXELS RESULTS WRITEBACK CYCLES KEEP IN OUT NAME=FILE...
//
// FIRST is the number of the first run in messages; PIXELS, RESULTS and WRITEBACK are bytes a run,
// CYCLES is their predicted number. IN has the pixels of all runs. OUT gets, for each run, the
// cycles that the harness counted and those that the engine did (32 bits each), the results and,
// if KEEP is 1, the bytes written back. Each ROM NAME takes the words of a $readmemh FILE. Printed
// are all clock cycles and the processor's seconds.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "cxxrtl_plain.h"
#include "engine.cc"

namespace {

using Engine = cxxrtl_design::p_sqhw__engine;
using Bytes = std::vector<unsigned char>;

constexpr int kPatience = 100000;  // cycles

template <size_t Bits>
const cxxrtl::value<Bits> &read(const cxxrtl::value<Bits> &port) {
  return port;
}
template <size_t Bits>
const cxxrtl::value<Bits> &read(const cxxrtl::wire<Bits> &port) {
  return port.curr;
}
template <class Port>
uint32_t number(const Port &port) {
  return read(port).data[0];
}

uint64_t noise_state;
uint64_t noise() {  // xorshift64* (Vigna 2016)
  noise_state ^= noise_state >> 12;
  noise_state ^= noise_state << 25;
  noise_state ^= noise_state >> 27;
  return noise_state * 0x2545F4914F6CDD1Dull;
}
unsigned below(unsigned count) { return (noise() >> 33) % count; }

[[noreturn]] void end(int code, const std::string &message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(code);
}
// The job is no good.
[[noreturn]] void refuse(const std::string &message) { end(2, message); }
// The engine is no good.
[[noreturn]] void fail(const std::string &message) { end(3, message); }

class Bench {
 public:
  Bench(unsigned results, unsigned writeback, unsigned cycles)
      : results_(results), writeback_(writeback), cycles_(cycles) {
    engine_.debug_info(&items_, nullptr, "");
    for (auto &entry : items_.table)
      for (auto &item : entry.second)
        if (item.type == CXXRTL_MEMORY) fill_with_noise(item);
  }

  void load_rom(const std::string &name, const std::string &path) {
    const std::string full = name + " mem";
    if (items_.table.count(full) == 0) refuse("the engine has no memory \"" + full + "\"");
    cxxrtl::debug_item &item = items_.table.at(full).at(0);
    std::ifstream file(path);
    size_t index = 0;
    for (unsigned long long word; file >> std::hex >> word; index++) {
      if (index == item.depth)
        refuse(path + " has more words than the " + std::to_string(item.depth) + " of the ROM");
      store(item, index, word);
    }
    if (!file.eof() || index == 0) refuse(path + " is not a ROM image");
  }

  void reset() {
    engine_.p_rst.set(true);
    for (int cycle = 0; cycle < 5; cycle++) step();
    engine_.p_rst.set(false);
    watching_ = true;
  }

  // Runs one frame and appends it to `out`.
  void run(const unsigned char *pixels, unsigned count, bool keep, Bytes *out) {
    written_.clear();
    send(pixels, count);
    engine_.p_start.set(true);
    offer(true);
    step();
    if (now_.in_ready) fail(where() + "a pixel is taken in the cycle of start");
    compute();
    step();
    if (written_.size() != writeback_)
      fail(where() + std::to_string(written_.size()) + " bytes written back instead of " +
           std::to_string(writeback_));
    const uint32_t counts[2] = {counted_, now_.cycles};
    const auto *bytes = reinterpret_cast<const unsigned char *>(counts);
    out->insert(out->end(), bytes, bytes + sizeof counts);
    receive(out);
    if (keep) out->insert(out->end(), written_.begin(), written_.end());
  }

  std::string frame;  // what messages call the run
  uint64_t total = 0;  // cycles

 private:
  static void store(cxxrtl::debug_item &item, size_t index, uint64_t word) {
    const size_t chunks = (item.width + 31) / 32;
    const uint64_t mask = item.width >= 64 ? ~0ull : (1ull << item.width) - 1;
    if (item.width > 64 || (word & ~mask)) refuse("a ROM word is wider than its memory");
    for (size_t chunk = 0; chunk < chunks; chunk++)
      item.curr[index * chunks + chunk] = static_cast<uint32_t>(word >> (32 * chunk));
  }

  // CXXRTL knows no undefined bits: what hardware leaves undefined is random here.
  static void fill_with_noise(cxxrtl::debug_item &item) {
    const uint64_t mask = item.width >= 64 ? ~0ull : (1ull << item.width) - 1;
    for (size_t index = 0; index < item.depth; index++) store(item, index, noise() & mask);
  }

  std::string where() const { return frame + ": "; }

  // One clock cycle. The outputs seen are those just before the rising edge. Nothing in the engine
  // looks at the falling edge, which is therefore not simulated.
  void step() {
    engine_.prev_p_clk.set(false);
    engine_.p_clk.set(true);
    if (!engine_.eval()) refuse("the engine has combinational feedback");
    sample();
    if (watching_) watch();
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

  // Checks the rules, counts cycles and keeps what is written back.
  void watch() {
    if (now_.done && (before_.done || !running_)) fail(where() + "done comes when nothing ends");
    if (now_.busy != (running_ && !now_.done))
      fail(where() + "busy is not high from start to done");
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

  void send(const unsigned char *pixels, unsigned count) {
    wait_for_ready();
    for (unsigned pixel = 0; pixel < count; pixel++) {
      if (below(10) == 0)
        for (unsigned pause = 1 + below(3); pause; pause--) step();
      engine_.p_in__valid.set(true);
      engine_.p_in__data.set<uint8_t>(pixels[pixel]);
      step();
      if (!now_.in_ready) fail(where() + "a pixel is not taken");
      if (now_.in_last != (pixel + 1 == count))
        fail(where() + "in_last is wrong at pixel " + std::to_string(pixel));
      engine_.p_in__valid.set(false);
    }
  }

  void wait_for_ready() {
    for (int cycle = 0; cycle < kPatience; cycle++) {
      step();
      if (now_.ready) return;
    }
    fail(where() + "the engine does not become ready");
  }

  // Offers any pixel, or none.
  void offer(bool valid) {
    engine_.p_in__valid.set(valid);
    if (valid) engine_.p_in__data.set<uint8_t>(noise() >> 40);
  }

  // Waits for `done`; what is offered meanwhile must be ignored.
  void compute() {
    const uint64_t limit = 2ull * cycles_ + 1000;
    const unsigned from = 1 + below(30), to = from + 1 + below(3);
    for (uint64_t cycle = 0; cycle < limit; cycle++) {
      const bool disturb = cycle >= from && cycle < to;
      engine_.p_start.set(disturb);
      offer(disturb);
      step();
      if (now_.done) {
        engine_.p_start.set(false);
        offer(false);
        return;
      }
    }
    fail(where() + "not done after " + std::to_string(limit) + " cycles, twice the prediction");
  }

  // Takes the results with back-pressure; sometimes nobody listens for long.
  void receive(Bytes *out) {
    for (unsigned pause = below(3) == 0 ? 100 : 0; pause; pause--) step();
    unsigned count = 0;
    for (int patience = kPatience; patience; patience--) {
      const bool listens = below(10) < 7;
      engine_.p_out__ready.set(listens);
      step();
      if (!listens || !now_.out_valid) continue;
      out->push_back(now_.out_data);
      count++;
      if (now_.out_last != (count == results_))
        fail(where() + "out_last is " + (now_.out_last ? "high" : "low") + " at result " +
             std::to_string(count) + " of " + std::to_string(results_));
      if (now_.out_last) {
        due_ = false;
        engine_.p_out__ready.set(false);
        return;
      }
      patience = kPatience;
    }
    fail(where() + std::to_string(count) + " results come instead of " + std::to_string(results_));
  }

  Engine engine_;
  cxxrtl::debug_items items_;
  const unsigned results_, writeback_, cycles_;
  Bytes written_;
  struct Ports {
    bool ready, busy, done, in_ready, in_last, out_valid, out_last, stalled;
    unsigned char out_data;
    uint32_t cycles;
  };
  Ports now_{}, before_{};
  uint32_t counted_ = 0;
  bool watching_ = false;  // not before reset
  bool running_ = false;   // from start to done
  bool due_ = false;       // from done to the last result
};

}  // namespace

int main(int argc, char **argv) {
  if (argc < 11) refuse("too few arguments");
  unsigned long long numbers[8];
  for (int at = 0; at < 8; at++) numbers[at] = std::strtoull(argv[1 + at], nullptr, 10);
  const auto [seed, first, runs, pixels, results, writeback, cycles, keep] = numbers;
  noise_state = (seed + 0x10000 * first) * 0x9E3779B97F4A7C15ull + 1;
  for (int round = 0; round < 8; round++) noise();
  Bench bench(results, writeback, cycles);
  for (int at = 11; at < argc; at++) {
    const char *equals = std::strchr(argv[at], '=');
    if (!equals) refuse("an argument is not NAME=FILE");
    bench.load_rom(std::string(argv[at], equals - argv[at]), equals + 1);
  }
  std::ifstream in(argv[9], std::ios::binary);
  std::ofstream out(argv[10], std::ios::binary);
  Bytes image(pixels), record;
  bench.reset();
  for (unsigned long long run = 0; run < runs; run++) {
    bench.frame = "run " + std::to_string(first + run);
    if (!in.read(reinterpret_cast<char *>(image.data()), pixels)) refuse("too few pixels");
    record.clear();
    bench.run(image.data(), pixels, keep != 0, &record);
    out.write(reinterpret_cast<const char *>(record.data()), record.size());
  }
  out.close();
  if (!out) refuse("cannot write the results");
  std::printf("%llu %.6f\n", static_cast<unsigned long long>(bench.total),
              static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return 0;
}

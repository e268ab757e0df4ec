// What the harnesses of an engine share: noise, how a program ends, ports, memories, arguments.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifdef __linux__
#include <csignal>
#include <sys/prctl.h>
#endif

#include "cxxrtl_plain.h"
#include "engine.cc"

namespace harness {

using Engine = cxxrtl_design::p_sqhw__engine;
using Bytes = std::vector<unsigned char>;

// `sqhw.verify.stimulus.Phase`: where a frame ends in a reset.
enum Phase : uint32_t { kWhole, kBoot, kReady, kPixels, kStart, kRun, kResults };

// `sqhw.verify.stimulus.FRAME`, which explains the fields.
struct Frame {
  uint64_t valid, listen;
  uint32_t run, phase, at, after, reset, early, pixel_stall_at, pixel_stall, delay, busy_from, busy_to,
      held, result_stall_at, result_stall;
};
static_assert(sizeof(Frame) == 72);

// Bytes of a run, and the longest waits of `sqhw.verify.waits`.
struct Job {
  unsigned pixels, results, writeback, ready, run, result;
};

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

inline uint64_t noise_state;
inline uint64_t noise() {  // xorshift64* (Vigna 2016)
  noise_state ^= noise_state >> 12;
  noise_state ^= noise_state << 25;
  noise_state ^= noise_state >> 27;
  return noise_state * 0x2545F4914F6CDD1Dull;
}
inline unsigned below(unsigned count) { return (noise() >> 33) % count; }
inline void begin_noise(uint64_t seed) {
  noise_state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (int round = 0; round < 8; round++) noise();
}

[[noreturn]] inline void end(int code, const std::string &message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(code);
}
// The job is no good.
[[noreturn]] inline void refuse(const std::string &message) { end(2, message); }
// The engine is no good.
[[noreturn]] inline void fail(const std::string &message) { end(3, message); }

// The memories of an engine.
class Memories {
 public:
  // Fills memories and registers with noise: the state after power-up.
  explicit Memories(Engine &engine) {
    engine.debug_info(&items_, nullptr, "");
    for (auto &entry : items_.table)
      for (auto &item : entry.second)
        if (item.type == CXXRTL_MEMORY) fill_with_noise(item);
    cxxrtl_design::PowerUp power_up{noise};
    engine.commit(power_up);
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

  // Loads the ROM of an argument NAME=FILE.
  void load_argument(const std::string &argument) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) refuse("an argument is not NAME=FILE");
    load_rom(argument.substr(0, equals), argument.substr(equals + 1));
  }

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

  cxxrtl::debug_items items_;
};

// The arguments of a harness: seed, numbers of the job, numbers of its own; frames, pixels, results;
// then NAME=FILE of each ROM.
class Arguments {
 public:
  Arguments(int argc, char **argv, int own) : files_(argv + kCommon + own + 1), end_(argv + argc) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with the process that started it
#endif
    if (argc < kCommon + own + 1 + kFiles) refuse("too few arguments");
    const auto number = [&](int at) { return std::strtoull(argv[1 + at], nullptr, 10); };
    begin_noise(number(0));
    unsigned *const fields[] = {&job.pixels, &job.results, &job.writeback,
                                &job.ready,  &job.run,     &job.result};
    for (int at = 0; at < kCommon - 1; at++) *fields[at] = static_cast<unsigned>(number(1 + at));
    for (int at = 0; at < own; at++) own_numbers.push_back(number(kCommon + at));
    frames.open(files_[0], std::ios::binary);
    std::ifstream in(files_[1], std::ios::binary);
    pixels.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    out.open(files_[2], std::ios::binary);
  }

  void load_roms(Memories &memories) const {
    for (char **rom = files_ + kFiles; rom < end_; rom++) memories.load_argument(*rom);
  }

  // Ends the results, and tells cycles and seconds of processor time.
  void finish(unsigned long long cycles) {
    out.close();
    if (!out) refuse("cannot write the results");
    std::printf("%llu %.6f\n", cycles, static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  }

  Job job;
  std::vector<unsigned long long> own_numbers;
  std::ifstream frames;
  Bytes pixels;
  std::ofstream out;

 private:
  static constexpr int kCommon = 7, kFiles = 3;
  char **files_, **end_;
};

}  // namespace harness

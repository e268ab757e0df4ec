// Runs the design of a board that CXXRTL has made of its Verilog, without the module of its pins: what
// comes from a terminal goes to the serial line, what the line brings goes to the terminal. Ends when
// the terminal is closed, or its other side ends.
//
//   board FILE DIVISOR
//
// FILE is the number of an open file, DIVISOR the cycles of a bit of the line. Whenever the line is
// quiet and the board waits, the file `cycles` gets the number of cycles without those pauses.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include <poll.h>
#include <unistd.h>
#ifdef __linux__
#include <csignal>
#include <sys/prctl.h>
#endif

#include "cxxrtl_plain.h"
#include "engine.cc"

namespace {

uint64_t noise_state = 0x9E3779B97F4A7C15ull;
uint64_t noise() {  // xorshift64* (Vigna 2016)
  noise_state ^= noise_state >> 12;
  noise_state ^= noise_state << 25;
  noise_state ^= noise_state >> 27;
  return noise_state * 0x2545F4914F6CDD1Dull;
}

template <size_t Bits>
const cxxrtl::value<Bits> &read_port(const cxxrtl::value<Bits> &port) {
  return port;
}
template <size_t Bits>
const cxxrtl::value<Bits> &read_port(const cxxrtl::wire<Bits> &port) {
  return port.curr;
}

// Cycles between two looks at the terminal while the board works.
constexpr unsigned kPatience = 1000;
// Bits of a byte on the line, and of the pause after which the line counts as quiet.
constexpr unsigned kBits = 10, kQuiet = 30;

class Board {
 public:
  Board(int file, unsigned divisor) : file_(file), divisor_(divisor) {
    cxxrtl_design::PowerUp power_up{noise};
    design_.commit(power_up);
    design_.p_rx.set(true);
    design_.p_rst.set(true);
    for (unsigned cycle = 0; cycle < 4; cycle++) step();
    design_.p_rst.set(false);
  }

  void run() {
    for (uint64_t cycle = 0;; cycle++, cycles_++) {
      const bool quiet = quiet_ > kQuiet * divisor_ && read_port(design_.p_ready).data[0];
      if (to_send_.empty() && left_ == 0 && (quiet || cycle % kPatience == 0)) fetch(quiet);
      drive();
      step();
      listen();
    }
  }

 private:
  // One clock cycle; nothing in the design looks at the falling edge.
  void step() {
    design_.prev_p_clk.set(false);
    design_.p_clk.set(true);
    design_.eval();
    tx_ = read_port(design_.p_tx).data[0];
    design_.commit();
  }

  void fetch(bool wait) {
    if (wait) note();
    pollfd one{file_, POLLIN, 0};
    const int ready = poll(&one, 1, wait ? -1 : 0);
    if (ready <= 0) return;
    unsigned char bytes[4096];
    const ssize_t count = read(file_, bytes, sizeof bytes);
    if (count <= 0) std::exit(0);
    to_send_.insert(to_send_.end(), bytes, bytes + count);
  }

  // The clock stands still while the terminal is waited for, and the pause before is left out.
  void note() {
    cycles_ -= quiet_;
    quiet_ = 0;
    if (FILE *file = std::fopen("cycles", "w")) {
      std::fprintf(file, "%llu\n", static_cast<unsigned long long>(cycles_));
      std::fclose(file);
    }
  }

  // Sends bytes to the board, without pauses.
  void drive() {
    quiet_++;
    if (left_ == 0) {
      if (to_send_.empty()) return;
      bits_ = 1u << 9 | to_send_.front() << 1;
      to_send_.pop_front();
      left_ = kBits * divisor_;
    }
    quiet_ = 0;
    design_.p_rx.set((bits_ >> (kBits - (left_ + divisor_ - 1) / divisor_) & 1) != 0);
    if (--left_ == 0) design_.p_rx.set(true);
  }

  // Takes bytes from the board: each bit in its middle.
  void listen() {
    if (wait_ == 0) {
      if (tx_) return;
      wait_ = divisor_ + divisor_ / 2;
      count_ = 0;
      return;
    }
    quiet_ = 0;
    if (--wait_) return;
    if (count_ == 8) {
      if (!tx_) std::fprintf(stderr, "a byte without a stop bit\n");
      const unsigned char byte = byte_;
      if (!tx_ || write(file_, &byte, 1) != 1) std::exit(3);
      return;
    }
    byte_ = byte_ >> 1 | (tx_ ? 0x80 : 0);
    count_++;
    wait_ = divisor_;
  }

  cxxrtl_design::p_sqhw__engine design_;
  const int file_;
  const unsigned divisor_;
  std::deque<unsigned char> to_send_;
  unsigned bits_ = 0, left_ = 0, wait_ = 0, count_ = 0, byte_ = 0;
  uint64_t quiet_ = 0, cycles_ = 0;
  bool tx_ = true;
};

}  // namespace

int main(int argc, char **argv) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with the process that started it
#endif
  if (argc != 3) return 2;
  Board(std::atoi(argv[1]), std::strtoul(argv[2], nullptr, 10)).run();
}

// What the code that CXXRTL writes uses in place of CXXRTL's own wires, memories and operators: names
// of the namespace that it is in come first.
#pragma once
#include <type_traits>

#include <cxxrtl/cxxrtl.h>

namespace cxxrtl_design {

using cxxrtl::value;

// Given to `commit` in place of an observer, it fills every register with noise: the state of a chip
// that has just been powered up.
struct PowerUp {
  uint64_t (*noise)();

  template <size_t Bits>
  void fill(value<Bits> &state) const {
    for (auto &chunk : state.data) chunk = uint32_t(noise() >> 32);
    state.data[value<Bits>::chunks - 1] &= value<Bits>::msb_mask;
  }
};

// The engine settles in one evaluation, so that nobody need know what has changed: a register takes
// its next value without a comparison, whose outcome no processor predicts.
template <size_t Bits>
struct wire : cxxrtl::wire<Bits> {
  using cxxrtl::wire<Bits>::wire;
  template <class Observer>
  bool commit(Observer &observer) {
    if constexpr (std::is_same_v<Observer, PowerUp>) observer.fill(this->next);
    this->curr = this->next;
    return true;
  }
};

// A memory of one write port: what it writes waits for the clock edge, enabled or not.
template <size_t Width>
struct memory : cxxrtl::memory<Width> {
  using cxxrtl::memory<Width>::memory;
  void update(size_t index, const value<Width> &data, const value<Width> &mask, int) {
    at_ = index;
    data_ = data;
    mask_ = mask;
  }
  template <class Observer>
  bool commit(Observer &) {
    if (mask_) {
      this->data[at_] = this->data[at_].update(data_, mask_);
      mask_ = value<Width>();
    }
    return true;
  }

 private:
  size_t at_ = 0;
  value<Width> data_, mask_;
};

// CXXRTL's operators go chunk by chunk, compare by a carry and extend a sign with a branch. These
// compute with the processor's numbers; what does not fit 64 bits is left to the others.
namespace plain {

template <size_t... Bits>
constexpr bool fit(size_t limit) {
  return ((Bits <= limit) && ...);
}

// The number to compute with: 32 bits if all operands fit.
template <size_t... Bits>
using Number = std::conditional_t<fit<Bits...>(32), uint32_t, uint64_t>;

template <class Unsigned, size_t Bits>
CXXRTL_ALWAYS_INLINE Unsigned whole(const value<Bits> &a) {
  if constexpr (Bits <= 32) return a.data[0];
  else return a.data[0] | Unsigned(a.data[1]) << 32;
}

template <class Unsigned, size_t Bits>
CXXRTL_ALWAYS_INLINE std::make_signed_t<Unsigned> integer(const value<Bits> &a) {
  constexpr int spare = 8 * sizeof(Unsigned) - Bits;
  return std::make_signed_t<Unsigned>(whole<Unsigned>(a) << spare) >> spare;
}

template <size_t Bits, class Unsigned>
CXXRTL_ALWAYS_INLINE value<Bits> low(Unsigned x) {
  constexpr uint64_t mask = ~uint64_t(0) >> (64 - Bits);
  value<Bits> result;
  result.data[0] = uint32_t(x) & uint32_t(mask);
  if constexpr (Bits > 32) result.data[1] = uint32_t(x >> 32) & uint32_t(mask >> 32);
  return result;
}

}  // namespace plain

// Objects and not functions, so that arguments do not bring in CXXRTL's namespace.
#define SQHW_OPERATOR(name, convert, expression)                                      \
  template <size_t Y>                                                                 \
  struct plain_##name {                                                               \
    template <size_t A, size_t B>                                                     \
    CXXRTL_ALWAYS_INLINE value<Y> operator()(const value<A> &a, const value<B> &b) const { \
      if constexpr (plain::fit<Y, A, B>(64)) {                                        \
        using Number = plain::Number<Y, A, B>;                                        \
        const auto x = plain::convert<Number>(a), y = plain::convert<Number>(b);      \
        return plain::low<Y>(Number(expression));                                     \
      } else {                                                                        \
        return cxxrtl_yosys::name<Y>(a, b);                                           \
      }                                                                               \
    }                                                                                 \
  };                                                                                  \
  template <size_t Y>                                                                 \
  constexpr plain_##name<Y> name{};
#define SQHW_OPERATORS(name, expression)          \
  SQHW_OPERATOR(name##_uu, whole, expression)     \
  SQHW_OPERATOR(name##_ss, integer, expression)
SQHW_OPERATORS(add, Number(x) + Number(y))
SQHW_OPERATORS(sub, Number(x) - Number(y))
SQHW_OPERATORS(mul, Number(x) * Number(y))
SQHW_OPERATORS(and, x & y)
SQHW_OPERATORS(or, x | y)
SQHW_OPERATORS(xor, x ^ y)
SQHW_OPERATORS(eq, x == y)
SQHW_OPERATORS(ne, x != y)
SQHW_OPERATORS(lt, x < y)
SQHW_OPERATORS(le, x <= y)
SQHW_OPERATORS(gt, x > y)
SQHW_OPERATORS(ge, x >= y)
#undef SQHW_OPERATORS
#undef SQHW_OPERATOR

// The amount of a shift is unsigned.
#define SQHW_SHIFT(name, convert, expression)                                         \
  template <size_t Y>                                                                 \
  struct plain_##name {                                                               \
    template <size_t A, size_t B>                                                     \
    CXXRTL_ALWAYS_INLINE value<Y> operator()(const value<A> &a, const value<B> &b) const { \
      if constexpr (plain::fit<Y, A>(64) && plain::fit<B>(32)) {                      \
        const auto x = plain::convert<uint64_t>(a);                                   \
        const uint32_t amount = b.data[0];                                            \
        return plain::low<Y>(uint64_t(expression));                                   \
      } else {                                                                        \
        return cxxrtl_yosys::name<Y>(a, b);                                           \
      }                                                                               \
    }                                                                                 \
  };                                                                                  \
  template <size_t Y>                                                                 \
  constexpr plain_##name<Y> name{};
SQHW_SHIFT(shl_uu, whole, amount > 63 ? 0 : x << amount)
SQHW_SHIFT(shr_uu, whole, amount > 63 ? 0 : x >> amount)
SQHW_SHIFT(sshr_su, integer, x >> (amount > 63 ? 63 : amount))
#undef SQHW_SHIFT

}  // namespace cxxrtl_design

#include "range.hpp"

#include <algorithm>
#include <cstdint>

namespace mase {
namespace {

int bit_length(Wide value) {
  const auto magnitude = static_cast<unsigned __int128>(value < 0 ? ~value : value);
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const auto low = static_cast<std::uint64_t>(magnitude);
  if (high != 0) return 128 - __builtin_clzll(high);
  return low == 0 ? 0 : 64 - __builtin_clzll(low);
}

/// Bits that hold the range: two's complement if it has negative numbers.
int width_of(Interval range) {
  return std::max(bit_length(range.lo), bit_length(range.hi)) + (range.lo < 0 ? 1 : 0);
}

}  // namespace

Interval shifted(Interval range, int shift) {
  return product(static_cast<Wide>(1) << shift, range);
}

Interval sum(Interval a, Interval b, bool subtract) {
  if (subtract) return {a.lo - b.hi, a.hi - b.lo};
  return {a.lo + b.lo, a.hi + b.hi};
}

Interval product(Wide factor, Interval x) {
  if (factor < 0) return {factor * x.hi, factor * x.lo};
  return {factor * x.lo, factor * x.hi};
}

double adder_cost(Interval a, Interval b, int shift_a, int shift_b, bool subtract,
                  Interval result) {
  // Low bits of only one operand are wires, unless they are subtracted.
  const int low = subtract ? shift_b : std::max(shift_a, shift_b);
  // Above an operand without a sign, only the carry goes on: no table.
  int overlap = width_of(result);
  if (a.lo >= 0) overlap = std::min(overlap, width_of(shifted(a, shift_a)));
  if (b.lo >= 0 && !subtract) {
    overlap = std::min(overlap, width_of(shifted(b, shift_b)));
  }
  return std::max(overlap - low, 0);
}

}  // namespace mase

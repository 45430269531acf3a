// Ranges of integers, and what adders of them cost.
#pragma once

#include <algorithm>

namespace mase {

using Wide = __int128;

/// The exact range of an integer.
struct Interval {
  Wide lo = 0;
  Wide hi = 0;
};

Interval shifted(Interval range, int shift);

/// The range of a ± b where they are independent.
Interval sum(Interval a, Interval b, bool subtract);

/// The range of factor · x.
Interval product(Wide factor, Interval x);

/// Bits that tell the numbers of a range apart.
int width_of(Interval range);

/// What a bit of an adder costs, in lookup tables, that only one operand has.
constexpr double CARRY = 0.5;

/// Lookup tables of the adder (a << shift_a) ± (b << shift_b) of operands of these widths
/// that, less the lowest numbers of their ranges, have no signs.
inline double adder_cost(int width_a, int width_b, int shift_a, int shift_b) {
  const int low = std::max(shift_a, shift_b);
  const int top_a = width_a + shift_a;
  const int top_b = width_b + shift_b;
  const int both = std::max(std::min(top_a, top_b) - low, 0);
  // Where only one of them has bits, carries need no tables, but their places.
  return both + CARRY * std::max(std::max(top_a, top_b) - low - both, 0);
}

}  // namespace mase

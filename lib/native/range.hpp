// Ranges of integers, and what adders of them cost.
#pragma once

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

/// Lookup tables of the adder (a << shift_a) ± (b << shift_b) whose operands, less the
/// lowest numbers of their ranges, have no signs.
double adder_cost(Interval a, Interval b, int shift_a, int shift_b);

}  // namespace mase

// Constant matrices as graphs of adders.
//
// y = x · M for an integer matrix M becomes additions and subtractions of shifted
// values. Every weight is written in canonical signed digits; each output is then a sum
// of terms ±(value << shift), and pairs of terms that occur in several sums (up to a
// common shift and sign) become values of their own, best first: two-term common
// subexpression elimination (Potkonjak et al., 1996; Hosangadi et al., 2005).
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace mase {

using Wide = __int128;

/// The exact range of an integer.
struct Interval {
  Wide lo = 0;
  Wide hi = 0;
};

/// (a << shift_a) ± (b << shift_b), or an input if a < 0. One of the shifts is zero.
struct Node {
  std::int32_t a = -1;
  std::int32_t b = -1;
  std::int32_t shift_a = 0;
  std::int32_t shift_b = 0;
  bool subtract = false;
  Interval range;
  std::int32_t depth = 0;
};

/// An output: ±(node << shift), or zero if node < 0.
struct Output {
  std::int32_t node = -1;
  std::int32_t shift = 0;
  bool negative = false;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<Output> outputs;
  double cost = 0;
};

struct Problem {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  /// Row-major, rows × columns; one row per input.
  std::vector<std::int64_t> weights;
  std::vector<Interval> inputs;
  /// Adders before each input.
  std::vector<std::int32_t> depths;
  /// Bound on adders between inputs and outputs, or negative.
  std::int32_t max_depth = -1;
};

/// What a caller may watch and stop from another thread.
struct Control {
  std::atomic<bool> cancelled{false};
  std::atomic<std::int64_t> done{0};
  std::atomic<std::int64_t> total{0};
};

struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("cancelled") {}
};

/// Lookup tables of an adder of values in the ranges `a` and `b`.
double adder_cost(Interval a, Interval b, int shift_a, int shift_b, bool subtract);

/// The smallest depth that any graph of the problem's digits has.
std::int32_t least_depth(const Problem& problem);

/// A graph of low cost; the same for the same arguments, whatever `threads` is.
/// Throws std::invalid_argument for a depth below `least_depth`.
Graph solve(const Problem& problem, int effort, int threads, Control& control);

}  // namespace mase

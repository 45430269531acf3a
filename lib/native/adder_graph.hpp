// Constant matrices and kernels as graphs of adders.
//
// y[o, n] = Σ_i Σ_t w[i, o, t] · x[i, n + t] for integers w becomes additions and
// subtractions of shifted values; a matrix is a kernel with one tap. Every weight is
// written in canonical signed digits; each output is then a sum of terms
// ±(value << shift), read at a tap, and pairs of terms that occur in several sums (up to
// a common shift, sign and translation) become values of their own, best first: two-term
// common subexpression elimination (Potkonjak et al., 1996; Hosangadi et al., 2005).
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "range.hpp"

namespace mase {

/// A position in a kernel, or the way between two.
struct Tap {
  std::int32_t y = 0;
  std::int32_t x = 0;
};

inline Tap operator+(Tap a, Tap b) { return {a.y + b.y, a.x + b.x}; }
inline Tap operator-(Tap a, Tap b) { return {a.y - b.y, a.x - b.x}; }

/// At position n: (a[n] << shift_a) ± (b[n + tap] << shift_b), or an input if a < 0.
/// One of the shifts is zero.
struct Node {
  std::int32_t a = -1;
  std::int32_t b = -1;
  std::int32_t shift_a = 0;
  std::int32_t shift_b = 0;
  bool subtract = false;
  Tap tap;
  Interval range;
  std::int32_t depth = 0;
};

/// An output at position n: ±(node[n + tap] << shift), or zero if node < 0.
struct Output {
  std::int32_t node = -1;
  std::int32_t shift = 0;
  bool negative = false;
  Tap tap;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<Output> outputs;
  double cost = 0;
};

struct Problem {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  /// Taps of the kernel.
  std::int64_t height = 1;
  std::int64_t width = 1;
  /// Row-major: inputs × outputs × height × width.
  std::vector<std::int64_t> weights;
  std::vector<Interval> ranges;
  /// Adders before each input.
  std::vector<std::int32_t> depths;
  /// Bound on adders between inputs and outputs, or negative.
  std::int32_t max_depth = -1;

  std::int64_t taps() const { return height * width; }

  /// The weights of all taps between an input and an output.
  const std::int64_t* kernel(std::int64_t input, std::int64_t output) const {
    return weights.data() + (input * outputs + output) * taps();
  }
  std::int64_t* kernel(std::int64_t input, std::int64_t output) {
    return weights.data() + (input * outputs + output) * taps();
  }
};

/// What a caller may watch and stop from another thread.
struct Control {
  std::atomic<bool> cancelled{false};
  /// Terms that were added up, and all of them.
  std::atomic<std::int64_t> done{0};
  std::atomic<std::int64_t> total{0};

  /// Throws `Cancelled` once that is asked for.
  void check() const;
};

struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("cancelled") {}
};

inline void Control::check() const {
  if (cancelled.load(std::memory_order_relaxed)) throw Cancelled();
}

/// The smallest depth that any graph of the problem's digits has.
std::int32_t least_depth(const Problem& problem);

/// A graph of low cost; the same for the same arguments, whatever `threads` is.
/// Throws std::invalid_argument for a depth below `least_depth`, and for kernels of too
/// many taps.
Graph solve(const Problem& problem, int effort, int threads, Control& control);

}  // namespace mase

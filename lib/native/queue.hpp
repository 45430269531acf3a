// Candidates by score.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "place.hpp"

namespace mase {

/// ±a and ±b at a way from it in the same sum; what their adder costs.
struct Pair {
  std::int32_t a;
  std::int32_t b;
  Move way;
  float cost;
};

/// Pairs by score, highest first; about equal scores are one, the latest first.
class Queue {
 public:
  static constexpr int STEP_BITS = 5;
  static constexpr int STEPS = 1 << STEP_BITS;
  static constexpr int LEVELS = STEPS * 40;
  /// What the exponent of 2^-8 is as a level.
  static constexpr int ZERO = STEPS * (1023 - 8);

  static int level(double score) {
    // Exponent and first bits of the fraction: a logarithm, but for the curve between
    // powers of two.
    const auto bits = std::bit_cast<std::uint64_t>(score);
    const int level = static_cast<int>(bits >> (52 - STEP_BITS)) - ZERO;
    return std::clamp(level, 0, LEVELS - 1);
  }

  void push(int level, const Pair& pair) {
    buckets_[level].push_back(pair);
    top_ = std::max(top_, level);
  }

  /// The level of the best pair, or -1.
  int top() {
    while (top_ >= 0 && buckets_[top_].empty()) --top_;
    return top_;
  }

  Pair pop() {
    const Pair pair = buckets_[top_].back();
    buckets_[top_].pop_back();
    return pair;
  }

 private:
  std::vector<std::vector<Pair>> buckets_{LEVELS};
  int top_ = -1;
};

}  // namespace mase

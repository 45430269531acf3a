#include "unique.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <utility>

namespace mase {
namespace {

/// The lowest row and column with a weight.
Tap corner(const std::vector<std::int64_t>& weights, std::int64_t height,
           std::int64_t width) {
  std::int64_t y = height;
  std::int64_t x = width;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == 0) continue;
    const auto t = static_cast<std::int64_t>(k);
    y = std::min(y, t / width % height);
    x = std::min(x, t % width);
  }
  return {static_cast<std::int32_t>(y), static_cast<std::int32_t>(x)};
}

}  // namespace

Unique unique_outputs(const Problem& problem) {
  Unique result;
  std::map<std::vector<std::int64_t>, std::int32_t> seen;
  std::vector<std::vector<std::int64_t>> kept;
  const std::int64_t taps = problem.taps();
  for (std::int64_t o = 0; o < problem.outputs; ++o) {
    std::vector<std::int64_t> weights;
    for (std::int64_t i = 0; i < problem.inputs; ++i) {
      const std::int64_t* kernel = problem.kernel(i, o);
      weights.insert(weights.end(), kernel, kernel + taps);
    }
    std::int64_t bits = 0;
    for (const std::int64_t weight : weights) bits |= weight;
    if (bits == 0) {
      result.outputs.push_back({});
      continue;
    }
    const int shift = std::countr_zero(static_cast<std::uint64_t>(bits));
    const auto first = std::find_if(weights.begin(), weights.end(), std::identity{});
    const bool negative = *first < 0;
    const Tap tap = corner(weights, problem.height, problem.width);
    for (auto& weight : weights) weight = (weight >> shift) * (negative ? -1 : 1);
    // No row or column of taps before the corner has a weight: none gets lost.
    std::rotate(weights.begin(), weights.begin() + tap.y * problem.width + tap.x,
                weights.end());
    const auto index = static_cast<std::int32_t>(kept.size());
    const auto [place, added] = seen.emplace(weights, index);
    if (added) kept.push_back(std::move(weights));
    result.outputs.push_back({place->second, shift, negative, tap});
  }
  result.problem = problem;
  result.problem.outputs = static_cast<std::int64_t>(kept.size());
  result.problem.weights.clear();
  for (std::int64_t i = 0; i < problem.inputs; ++i) {
    for (const auto& weights : kept) {
      const auto first = weights.begin() + i * taps;
      result.problem.weights.insert(result.problem.weights.end(), first, first + taps);
    }
  }
  return result;
}

}  // namespace mase

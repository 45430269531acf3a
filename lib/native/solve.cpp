#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "adder_graph.hpp"
#include "builder.hpp"
#include "differences.hpp"
#include "digits.hpp"
#include "elimination.hpp"
#include "unique.hpp"

namespace mase {
namespace {

/// Weights of a problem that takes a second or so, for one attempt.
constexpr std::int64_t LARGE = 1 << 13;

/// A tree of differences; none if its height is 0.
struct Attempt {
  int height = 0;
  double penalty = 0;
};

/// More attempts for more effort, but fewer of them on large problems.
std::vector<Attempt> attempts(int effort, std::size_t weights) {
  std::vector<Attempt> list = {{}};
  const std::vector<std::size_t> most = {1, 3, 9, 25};
  for (const double penalty : {6.0, 4.0, 8.0, 5.0, 3.0, 2.0}) {
    for (const int height : {3, 2, 4, 1}) list.push_back({height, penalty});
  }
  const std::int64_t budget = LARGE << (2 * effort);
  const std::size_t affordable =
      static_cast<std::size_t>(budget) / std::max<std::size_t>(weights, 1);
  list.resize(std::clamp<std::size_t>(affordable, 1, most[effort]));
  return list;
}

std::int64_t count_digits(const Problem& problem) {
  std::int64_t digits = 0;
  for (const std::int64_t weight : problem.weights) digits += digit_count(weight);
  return digits;
}

/// The graph of one attempt; without outputs if it cannot keep the depth.
Graph attempt(const Problem& problem, const Attempt& how, Control& control) {
  Builder builder(problem);
  if (how.height == 0) {
    return builder.finish(Elimination(problem, builder, control).run());
  }
  Differences tree = differences(problem, how.height, how.penalty, control);
  const std::int64_t digits = count_digits(tree.problem);
  control.done += count_digits(problem) - digits;
  if (problem.max_depth >= 0) {
    tree.problem.max_depth -= how.height;
    if (tree.problem.max_depth < least_depth(tree.problem)) {
      control.done += digits;
      return {};
    }
  }
  std::vector<Output> outputs = Elimination(tree.problem, builder, control).run();
  for (const std::int32_t o : tree.order) {
    if (tree.parents[o] < 0) continue;
    Output parent = outputs[tree.parents[o]];
    parent.negative = parent.negative != tree.negated[o];
    outputs[o] = builder.join(parent, outputs[o]);
  }
  return builder.finish(std::move(outputs));
}

/// The graphs of all attempts.
std::vector<Graph> attempt_all(const Problem& problem, const std::vector<Attempt>& list,
                               int threads, Control& control) {
  std::vector<Graph> graphs(list.size());
  std::vector<std::exception_ptr> errors(list.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < list.size(); i = next++) {
      try {
        graphs[i] = attempt(problem, list[i], control);
      } catch (...) {
        errors[i] = std::current_exception();
        control.cancelled = true;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < std::min<int>(threads, static_cast<int>(list.size())); ++t) {
    pool.emplace_back(work);
  }
  work();
  for (auto& thread : pool) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return graphs;
}

}  // namespace

std::int32_t least_depth(const Problem& problem) {
  double most = 1;
  for (std::int64_t o = 0; o < problem.outputs; ++o) {
    double total = 0;
    for (std::int64_t i = 0; i < problem.inputs; ++i) {
      const std::int64_t* kernel = problem.kernel(i, o);
      for (std::int64_t t = 0; t < problem.taps(); ++t) {
        total += std::ldexp(digit_count(kernel[t]), problem.depths[i]);
      }
    }
    most = std::max(most, total);
  }
  return static_cast<std::int32_t>(std::ceil(std::log2(most)));
}

Graph solve(const Problem& problem, int effort, int threads, Control& control) {
  if (problem.max_depth >= 0 && problem.max_depth < least_depth(problem)) {
    throw std::invalid_argument("a depth of " + std::to_string(problem.max_depth) +
                                " cannot be had, the smallest is " +
                                std::to_string(least_depth(problem)));
  }
  const Unique unique = unique_outputs(problem);
  const std::vector<Attempt> list = attempts(effort, unique.problem.weights.size());
  control.total = count_digits(unique.problem) * std::ssize(list);
  std::vector<Graph> graphs = attempt_all(unique.problem, list, threads, control);
  std::size_t best = 0;
  for (std::size_t i = 1; i < graphs.size(); ++i) {
    const bool kept = graphs[i].outputs.size() == graphs[best].outputs.size();
    if (kept && graphs[i].cost < graphs[best].cost) best = i;
  }
  Graph result = std::move(graphs[best]);
  const std::vector<Output> outputs = std::move(result.outputs);
  result.outputs.clear();
  for (Output output : unique.outputs) {
    if (output.node >= 0) {
      const Output& base = outputs[output.node];
      output = {base.node, base.shift + output.shift, base.negative != output.negative,
                base.tap + output.tap};
    }
    result.outputs.push_back(output);
  }
  return result;
}

}  // namespace mase

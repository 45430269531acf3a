#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <string>
#include <thread>
#include <utility>

#include "adder_graph.hpp"
#include "builder.hpp"
#include "differences.hpp"
#include "digits.hpp"
#include "elimination.hpp"
#include "orientation.hpp"
#include "random.hpp"
#include "unique.hpp"

namespace mase {
namespace {

/// Graphs that are tried in a round of refinement, and the part of the steps that is
/// taken back for that.
constexpr int NEIGHBOURS = 4;
constexpr double DROPPED = 0.1;

/// A tree of differences; none if its height is 0.
struct Attempt {
  int height = 0;
  double penalty = 0;
};

/// What an effort is spent on: on large problems, on less.
struct Plan {
  std::vector<Attempt> attempts;
  /// Rounds of refinement of the best one.
  int rounds = 0;
};

Plan plan_of(int effort, std::size_t weights) {
  Plan plan;
  plan.attempts.push_back({});
  for (const double penalty : {6.0, 4.0, 8.0, 5.0, 3.0, 2.0}) {
    for (const int height : {3, 2, 4, 1}) plan.attempts.push_back({height, penalty});
  }
  const std::vector<std::size_t> most_attempts = {1, 3, 9, 25};
  const std::vector<std::size_t> most_rounds = {0, 16, 64, 256};
  const std::size_t budget = std::size_t{1} << (9 + 3 * effort);
  const std::size_t affordable =
      std::max<std::size_t>(budget / std::max<std::size_t>(weights, 1), 1);
  plan.attempts.resize(std::min(affordable, most_attempts[effort]));
  plan.rounds = static_cast<int>(std::min(5 * (affordable - 1), most_rounds[effort]));
  return plan;
}

std::int64_t count_digits(const Problem& problem) {
  std::int64_t digits = 0;
  for (const std::int64_t weight : problem.weights) digits += digit_count(weight);
  return digits;
}

struct Solution {
  Graph graph;
  std::vector<Step> steps;
};

/// The graph of a problem, of which a tree is known, that begins with some steps.
Solution complete(const Problem& problem, const Differences& tree,
                  const std::vector<Step>& begin, std::uint64_t seed,
                  Control& control) {
  Builder builder(problem);
  Elimination elimination(tree.problem, builder, control, seed);
  std::vector<Output> outputs = elimination.run(begin);
  for (const std::int32_t o : tree.order) {
    if (tree.parents[o] < 0) continue;
    Output parent = outputs[tree.parents[o]];
    parent.negative = parent.negative != tree.negated[o];
    outputs[o] = builder.join(parent, outputs[o]);
  }
  control.done += count_digits(problem) - count_digits(tree.problem);
  return {builder.finish(std::move(outputs)), std::move(elimination.steps())};
}

/// Calls `work` with the numbers below `count`, in some threads.
template <typename Work>
void parallel(std::size_t count, int threads, Control& control, Work work) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
        control.cancelled = true;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < std::min<int>(threads, static_cast<int>(count)); ++t) {
    pool.emplace_back(run);
  }
  run();
  for (auto& thread : pool) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

/// The steps but about a tenth of them, and what builds on these.
std::vector<Step> without_some(const std::vector<Step>& steps, std::int64_t inputs,
                               std::uint64_t seed) {
  std::vector<std::int32_t> moved(inputs + std::ssize(steps), -1);
  std::iota(moved.begin(), moved.begin() + inputs, 0);
  std::vector<Step> kept;
  for (std::int64_t k = 0; k < std::ssize(steps); ++k) {
    Step step = steps[k];
    step.a = moved[step.a];
    step.b = moved[step.b];
    if (std::min(step.a, step.b) < 0 || fraction(mix(seed) + k) < DROPPED) continue;
    moved[inputs + k] = static_cast<std::int32_t>(inputs + std::ssize(kept));
    kept.push_back(std::move(step));
  }
  return kept;
}

/// Takes some steps back and completes the graph in another way, several times in each
/// round; a graph that costs no more becomes the next one's start. Large-neighbourhood
/// search (Shaw, 1998).
void refine(const Problem& problem, const Differences& tree, Solution& best, int rounds,
            int threads, Control& control) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<Solution> others(NEIGHBOURS);
    parallel(others.size(), threads, control, [&](std::size_t i) {
      const std::uint64_t seed = round * NEIGHBOURS + i + 1;
      others[i] = complete(problem, tree, without_some(best.steps, problem.inputs, seed),
                           seed, control);
    });
    for (Solution& other : others) {
      if (other.graph.cost <= best.graph.cost) best = std::move(other);
    }
  }
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
  const Plan plan = plan_of(effort, unique.problem.weights.size());
  const std::vector<Attempt>& list = plan.attempts;
  const std::int64_t digits = count_digits(unique.problem);
  control.total = digits * (std::ssize(list) + plan.rounds * NEIGHBOURS);
  std::vector<Differences> trees(list.size());
  std::vector<Solution> solutions(list.size());
  parallel(list.size(), threads, control, [&](std::size_t i) {
    trees[i] = differences(unique.problem, list[i].height, list[i].penalty, control);
    Problem& rest = trees[i].problem;
    if (problem.max_depth >= 0) {
      rest.max_depth -= list[i].height;
      // One that cannot keep the depth has no outputs.
      if (rest.max_depth < least_depth(rest)) {
        control.done += digits;
        return;
      }
    }
    solutions[i] = complete(unique.problem, trees[i], {}, 0, control);
  });
  std::size_t best = 0;
  for (std::size_t i = 1; i < solutions.size(); ++i) {
    const Graph& graph = solutions[i].graph;
    const bool kept = graph.outputs.size() == solutions[0].graph.outputs.size();
    if (kept && graph.cost < solutions[best].graph.cost) best = i;
  }
  refine(unique.problem, trees[best], solutions[best], plan.rounds, threads, control);
  Graph result = std::move(solutions[best].graph);
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
  orient(result);
  return result;
}

}  // namespace mase

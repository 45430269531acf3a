#include "differences.hpp"

#include "digits.hpp"

namespace mase {

Differences differences(const Problem& problem, int height, double penalty,
                        const Control& control) {
  const std::int64_t inputs = problem.inputs;
  const std::int64_t outputs = problem.outputs;
  const std::int64_t taps = problem.taps();
  Differences result;
  result.problem = problem;
  result.parents.assign(outputs, -1);
  result.negated.assign(outputs, false);
  std::vector<double> cost(outputs, 0);
  std::vector<int> depth(outputs, 0);
  std::vector<char> done(outputs, 0);
  for (std::int64_t i = 0; i < inputs; ++i) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t* kernel = problem.kernel(i, o);
      for (std::int64_t t = 0; t < taps; ++t) cost[o] += digit_count(kernel[t]);
    }
  }
  for (std::int64_t step = 0; step < outputs; ++step) {
    control.check();
    std::int32_t next = -1;
    for (std::int32_t o = 0; o < outputs; ++o) {
      if (done[o] == 0 && (next < 0 || cost[o] < cost[next])) next = o;
    }
    done[next] = 1;
    result.order.push_back(next);
    const std::int32_t parent = result.parents[next];
    if (parent >= 0) depth[next] = depth[parent] + 1;
    if (depth[next] == height) continue;
    for (std::int32_t o = 0; o < outputs; ++o) {
      if (done[o] != 0) continue;
      for (const bool negated : {false, true}) {
        double digits = penalty;
        for (std::int64_t i = 0; i < inputs && digits < cost[o]; ++i) {
          const std::int64_t* one = problem.kernel(i, o);
          const std::int64_t* other = problem.kernel(i, next);
          for (std::int64_t t = 0; t < taps; ++t) {
            digits += digit_count(negated ? one[t] + other[t] : one[t] - other[t]);
          }
        }
        if (digits < cost[o]) {
          cost[o] = digits;
          result.parents[o] = next;
          result.negated[o] = negated;
        }
      }
    }
  }
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int32_t parent = result.parents[o];
    if (parent < 0) continue;
    for (std::int64_t i = 0; i < inputs; ++i) {
      std::int64_t* kernel = result.problem.kernel(i, o);
      const std::int64_t* other = problem.kernel(i, parent);
      for (std::int64_t t = 0; t < taps; ++t) {
        kernel[t] += result.negated[o] ? other[t] : -other[t];
      }
    }
  }
  return result;
}

}  // namespace mase

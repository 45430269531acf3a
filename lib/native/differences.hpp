// Columns of a problem as differences from each other.
#pragma once

#include <cstdint>
#include <vector>

#include "adder_graph.hpp"

namespace mase {

/// The outputs of `problem` are those of another one, less their parents.
struct Differences {
  Problem problem;
  /// Per output: what it is a difference from, or -1, and whether that is negated.
  std::vector<std::int32_t> parents;
  std::vector<bool> negated;
  /// Outputs, parents first.
  std::vector<std::int32_t> order;
};

/// The spanning tree of fewest digits, of bounded height, in which another output counts
/// as `penalty` digits (Prim, 1957; for constant matrices: Sun et al., 2025).
Differences differences(const Problem& problem, int height, double penalty,
                        const Control& control);

}  // namespace mase

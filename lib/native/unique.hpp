// Outputs that are the same but for shift, sign and translation.
#pragma once

#include <vector>

#include "adder_graph.hpp"

namespace mase {

/// A problem without zero and repeated outputs, and how to undo that.
struct Unique {
  Problem problem;
  /// Per original output: the unique one in place of a node, or none for zero.
  std::vector<Output> outputs;
};

Unique unique_outputs(const Problem& problem);

}  // namespace mase

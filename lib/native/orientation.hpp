// Which of a node and its negative is computed.
#pragma once

#include "adder_graph.hpp"

namespace mase {

/// The same outputs, fewer of them negative: a difference may be taken either way. A
/// minuend with the higher shift takes an adder that is longer by the low bits of what
/// is subtracted, a negative output one of all its bits.
void orient(Graph& graph);

}  // namespace mase

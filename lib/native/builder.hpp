// Graphs while they are built: every node with what it is of the inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "adder_graph.hpp"

namespace mase {

class Builder {
 public:
  /// The inputs of the problem, which has to outlive this.
  explicit Builder(const Problem& problem);

  const Node& operator[](std::int32_t node) const { return nodes_[node]; }
  std::int32_t size() const { return static_cast<std::int32_t>(nodes_.size()); }

  /// The adder of the two operands, with its exact range and its depth.
  Node adder(std::int32_t a, std::int32_t b, int shift_a, int shift_b, bool subtract,
             Tap tap) const;

  double cost(const Node& node) const;

  /// Adds a node; its index.
  std::int32_t push(const Node& node);

  /// The sum of two outputs, without a sign where one of them has none.
  Output join(const Output& a, const Output& b);

  /// The graph of the outputs, without what none of them needs.
  Graph finish(std::vector<Output> outputs);

 private:
  /// factor · (an input at a tap)
  struct Summand {
    std::int64_t place;
    Wide factor;
  };

  /// Input and tap in one number, so that moving the tap is adding.
  std::int64_t place_of(std::int32_t input, Tap tap) const;

  Interval input_at(std::int64_t place) const;

  Interval exact_range(const Node& node) const;

  /// Calls `visit` with each place of the operands, in order, and the factors there.
  template <typename Visit>
  void merge(const Node& node, Visit visit) const;

  const Problem& problem_;
  std::vector<Node> nodes_;
  /// The summands of all nodes, and where those of each start.
  std::vector<Summand> summands_;
  std::vector<std::size_t> starts_;
  /// Which inputs, modulo 64, a node is a sum of.
  std::vector<std::uint64_t> inputs_;
};

}  // namespace mase

#include "builder.hpp"

#include <algorithm>
#include <utility>

namespace mase {

Builder::Builder(const Problem& problem) : problem_(problem) {
  for (std::int32_t i = 0; i < problem.inputs; ++i) {
    Node input;
    input.range = problem.ranges[i];
    input.depth = problem.depths[i];
    nodes_.push_back(input);
    starts_.push_back(summands_.size());
    summands_.push_back({place_of(i, {}), 1});
    inputs_.push_back(std::uint64_t{1} << (i % 64));
  }
  starts_.push_back(summands_.size());
}

std::int64_t Builder::place_of(std::int32_t input, Tap tap) const {
  // Taps may be negative: they start in the middle.
  return (static_cast<std::int64_t>(input) << 32) + (std::int64_t{1} << 31) +
         tap.y * 2 * problem_.width + tap.x;
}

Interval Builder::input_at(std::int64_t place) const {
  return problem_.ranges[place >> 32];
}

Node Builder::adder(std::int32_t a, std::int32_t b, int shift_a, int shift_b,
                    bool subtract, Tap tap) const {
  Node node;
  node.a = a;
  node.b = b;
  node.shift_a = shift_a;
  node.shift_b = shift_b;
  node.subtract = subtract;
  node.tap = tap;
  node.range = exact_range(node);
  node.depth = std::max(nodes_[a].depth, nodes_[b].depth) + 1;
  return node;
}

double Builder::cost(const Node& node) const {
  return width_of(node.range) - std::max(node.shift_a, node.shift_b);
}

template <typename Visit>
void Builder::merge(const Node& node, Visit visit) const {
  const std::int64_t move = place_of(0, node.tap) - place_of(0, {});
  const Wide left_factor = static_cast<Wide>(1) << node.shift_a;
  const Wide right_factor =
      (static_cast<Wide>(1) << node.shift_b) * (node.subtract ? -1 : 1);
  std::size_t left = starts_[node.a];
  std::size_t right = starts_[node.b];
  const std::size_t left_end = starts_[node.a + 1];
  const std::size_t right_end = starts_[node.b + 1];
  while (left < left_end || right < right_end) {
    const std::int64_t left_place =
        left < left_end ? summands_[left].place : INT64_MAX;
    const std::int64_t right_place =
        right < right_end ? summands_[right].place + move : INT64_MAX;
    const std::int64_t place = std::min(left_place, right_place);
    const Wide left_value =
        left_place == place ? summands_[left++].factor * left_factor : 0;
    const Wide right_value =
        right_place == place ? summands_[right++].factor * right_factor : 0;
    visit(place, left_value, right_value);
  }
}

Interval Builder::exact_range(const Node& node) const {
  if ((inputs_[node.a] & inputs_[node.b]) == 0) {
    return sum(shifted(nodes_[node.a].range, node.shift_a),
               shifted(nodes_[node.b].range, node.shift_b), node.subtract);
  }
  Interval range;
  merge(node, [&](std::int64_t place, Wide left, Wide right) {
    range = sum(range, product(left + right, input_at(place)), false);
  });
  return range;
}

std::int32_t Builder::push(const Node& node) {
  merge(node, [&](std::int64_t place, Wide left, Wide right) {
    if (left + right != 0) summands_.push_back({place, left + right});
  });
  starts_.push_back(summands_.size());
  inputs_.push_back(inputs_[node.a] | inputs_[node.b]);
  nodes_.push_back(node);
  return size() - 1;
}

Output Builder::join(const Output& a, const Output& b) {
  if (a.node < 0) return b;
  if (b.node < 0) return a;
  const int low = std::min(a.shift, b.shift);
  const bool differ = a.negative != b.negative;
  const Output& first = differ && a.negative ? b : a;
  const Output& second = differ && a.negative ? a : b;
  const std::int32_t node =
      push(adder(first.node, second.node, first.shift - low, second.shift - low, differ,
                 second.tap - first.tap));
  return {node, low, first.negative, first.tap};
}

Graph Builder::finish(std::vector<Output> outputs) {
  std::vector<char> used(nodes_.size(), 0);
  for (const Output& output : outputs) {
    if (output.node >= 0) used[output.node] = 1;
  }
  for (std::int32_t i = size(); i-- > problem_.inputs;) {
    if (used[i] != 0) used[nodes_[i].a] = used[nodes_[i].b] = 1;
  }
  Graph graph;
  std::vector<std::int32_t> moved(nodes_.size());
  for (std::int32_t i = 0; i < size(); ++i) {
    Node node = nodes_[i];
    if (node.a >= 0) {
      if (used[i] == 0) continue;
      graph.cost += cost(node);
      node.a = moved[node.a];
      node.b = moved[node.b];
    }
    moved[i] = static_cast<std::int32_t>(graph.nodes.size());
    graph.nodes.push_back(node);
  }
  for (Output& output : outputs) {
    if (output.node >= 0) output.node = moved[output.node];
  }
  graph.outputs = std::move(outputs);
  return graph;
}

}  // namespace mase

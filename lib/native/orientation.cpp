#include "orientation.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace mase {
namespace {

/// Nodes before a negative output that are tried, the nearest first.
constexpr std::size_t TRIED = 24;

class Orientation {
 public:
  explicit Orientation(Graph& graph)
      : graph_(graph),
        states_(graph.nodes.size()),
        users_(graph.nodes.size()),
        outputs_(graph.nodes.size()) {
    for (std::int32_t n = 0; n < std::ssize(graph.nodes); ++n) {
      const Node& node = graph.nodes[n];
      if (node.a < 0) continue;
      users_[node.a].push_back(n);
      if (node.b != node.a) users_[node.b].push_back(n);
      states_[n].wanted = node.subtract && node.shift_b < node.shift_a;
      states_[n] = evaluated(n);
    }
    for (std::int32_t o = 0; o < std::ssize(graph.outputs); ++o) {
      if (graph.outputs[o].node >= 0) outputs_[graph.outputs[o].node].push_back(o);
    }
  }

  void run() {
    for (const Output& output : graph_.outputs) {
      if (output.node < 0 || graph_.nodes[output.node].a < 0) continue;
      const std::vector<Wish> wishes = wishes_of(output);
      for (std::size_t k = 0; k < wishes.size(); ++k) {
        if (output.negative == states_[output.node].negated) break;
        grant(wishes, k);
      }
    }
    rewrite();
  }

 private:
  /// How a node is computed.
  struct State {
    /// Its negative is.
    bool negated = false;
    /// The same, as far as its operands leave the choice.
    bool wanted = false;
    /// Bits that the adder is longer by.
    int longer = 0;
  };

  /// Whether what is computed of the operands of a node has a minus in the node.
  std::pair<bool, bool> signs(const Node& node) const {
    return {states_[node.a].negated, states_[node.b].negated != node.subtract};
  }

  State evaluated(std::int32_t n) const {
    const Node& node = graph_.nodes[n];
    State state = states_[n];
    const auto [a, b] = signs(node);
    state.negated = a == b ? a : state.wanted;
    state.longer = 0;
    if (a != b) {
      const bool from_a = a == state.negated;
      const int more = node.shift_a - node.shift_b;
      state.longer = std::max(from_a ? more : -more, 0);
    }
    return state;
  }

  /// A node before an output, as it should be for that to be positive.
  struct Wish {
    std::int32_t node;
    bool negated;
    /// The one that this one is an operand of.
    std::size_t user;
  };

  std::vector<Wish> wishes_of(const Output& output) const {
    std::vector<Wish> found = {{output.node, output.negative, 0}};
    for (std::size_t k = 0; k < found.size() && found.size() < TRIED; ++k) {
      const Node& node = graph_.nodes[found[k].node];
      for (const std::int32_t n : {node.a, node.b}) {
        const auto same = [n](const Wish& wish) { return wish.node == n; };
        if (graph_.nodes[n].a < 0 || std::ranges::any_of(found, same)) continue;
        const bool minus = n == node.b && node.subtract;
        found.push_back({n, found[k].negated != minus, k});
      }
    }
    return found;
  }

  /// Takes a node the other way, and with it what leads to the output, unless that costs
  /// more in all that follows.
  void grant(const std::vector<Wish>& wishes, std::size_t k) {
    const auto [a, b] = signs(graph_.nodes[wishes[k].node]);
    if (a == b || states_[wishes[k].node].negated == wishes[k].negated) return;
    std::vector<std::pair<std::int32_t, State>> old;
    std::set<std::int32_t> changed;
    for (;; k = wishes[k].user) {
      const std::int32_t n = wishes[k].node;
      old.emplace_back(n, states_[n]);
      changed.insert(n);
      states_[n].wanted = wishes[k].negated;
      if (k == 0) break;
    }
    long more = 0;
    while (!changed.empty()) {
      const std::int32_t n = *changed.begin();
      changed.erase(changed.begin());
      const State before = states_[n];
      const State now = evaluated(n);
      old.emplace_back(n, before);
      states_[n] = now;
      more += now.longer - before.longer;
      if (now.negated == before.negated) continue;
      changed.insert(users_[n].begin(), users_[n].end());
      for (const std::int32_t o : outputs_[n]) {
        const bool negative = graph_.outputs[o].negative != now.negated;
        more += (negative ? 1 : -1) * width_of(graph_.nodes[n].range);
      }
    }
    if (more < 0) return;
    for (auto it = old.rbegin(); it != old.rend(); ++it) states_[it->first] = it->second;
  }

  void rewrite() {
    // Where each node is: the minuend's place, which may be that of the other operand.
    std::vector<Tap> moved(graph_.nodes.size());
    for (std::int32_t n = 0; n < std::ssize(graph_.nodes); ++n) {
      Node& node = graph_.nodes[n];
      if (node.a < 0) continue;
      const State& state = states_[n];
      const auto [a, b] = signs(node);
      const Tap first = moved[node.a];
      const Tap second = node.tap + moved[node.b];
      const bool swaps = a != b && a != state.negated;
      if (swaps) {
        std::swap(node.a, node.b);
        std::swap(node.shift_a, node.shift_b);
      }
      moved[n] = swaps ? second : first;
      node.tap = swaps ? first - second : second - first;
      node.subtract = a != b;
      if (state.negated) node.range = product(-1, node.range);
    }
    for (Output& output : graph_.outputs) {
      if (output.node < 0) continue;
      output.negative = output.negative != states_[output.node].negated;
      output.tap = output.tap + moved[output.node];
    }
  }

  Graph& graph_;
  std::vector<State> states_;
  std::vector<std::vector<std::int32_t>> users_;
  std::vector<std::vector<std::int32_t>> outputs_;
};

}  // namespace

void orient(Graph& graph) { Orientation(graph).run(); }

}  // namespace mase

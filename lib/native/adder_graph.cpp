#include "adder_graph.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <thread>
#include <tuple>

namespace mase {
namespace {

int bit_length(Wide value) {
  const auto magnitude = static_cast<unsigned __int128>(value < 0 ? ~value : value);
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const auto low = static_cast<std::uint64_t>(magnitude);
  if (high != 0) return 128 - __builtin_clzll(high);
  return low == 0 ? 0 : 64 - __builtin_clzll(low);
}

/// Bits that hold the range: two's complement if it has negative numbers.
int width_of(Interval range) {
  return std::max(bit_length(range.lo), bit_length(range.hi)) + (range.lo < 0 ? 1 : 0);
}

Interval shifted(Interval range, int shift) {
  const Wide factor = static_cast<Wide>(1) << shift;
  return {range.lo * factor, range.hi * factor};
}

Interval sum(Interval a, Interval b, bool subtract) {
  if (subtract) return {a.lo - b.hi, a.hi - b.lo};
  return {a.lo + b.lo, a.hi + b.hi};
}

Node adder(const std::vector<Node>& nodes, int a, int b, int shift_a, int shift_b,
           bool subtract) {
  Node node;
  node.a = a;
  node.b = b;
  node.shift_a = shift_a;
  node.shift_b = shift_b;
  node.subtract = subtract;
  node.range = sum(shifted(nodes[a].range, shift_a), shifted(nodes[b].range, shift_b),
                   subtract);
  node.depth = std::max(nodes[a].depth, nodes[b].depth) + 1;
  return node;
}

double node_cost(const std::vector<Node>& nodes, const Node& node) {
  return adder_cost(nodes[node.a].range, nodes[node.b].range, node.shift_a,
                    node.shift_b, node.subtract);
}

struct Digit {
  int shift;
  int sign;
};

/// Canonical signed digits; `other` turns some 4 - 1 into 2 + 1, which is as short.
std::vector<Digit> digits_of(std::int64_t weight, std::mt19937_64* other) {
  std::vector<Digit> digits;
  Wide rest = weight;
  for (int shift = 0; rest != 0; ++shift, rest /= 2) {
    if ((rest & 1) == 0) continue;
    const int digit = 2 - static_cast<int>(rest & 3);
    digits.push_back({shift, digit});
    rest -= digit;
  }
  if (other == nullptr) return digits;
  for (std::size_t i = 0; i + 1 < digits.size(); ++i) {
    Digit& low = digits[i];
    Digit& high = digits[i + 1];
    const bool occupied = i + 2 < digits.size() && digits[i + 2].shift == high.shift;
    if (high.shift == low.shift + 2 && high.sign != low.sign && !occupied &&
        ((*other)() & 1) != 0) {
      high.shift -= 1;
      low.sign = high.sign;
    }
  }
  return digits;
}

/// How one attempt chooses among pairs.
struct Strategy {
  /// The exponent of an adder's cost in the score of a pair.
  double cost_power = 0;
  /// How much shallow pairs are preferred, per adder of depth.
  double depth_penalty = 0;
  /// Nonzero: other signed digits, and a little noise on the scores.
  std::uint64_t seed = 0;
};

struct Term {
  std::int32_t node;
  std::int16_t shift;
  std::int16_t sign;
};

struct Occurrence {
  std::int32_t output;
  std::int16_t shift;
  std::int16_t sign;

  std::int64_t key(int offset = 0) const {
    return static_cast<std::int64_t>(output) * 65536 + shift + offset;
  }
};

/// a << s and ±b << (s + offset) in the same sum.
struct Pair {
  std::int32_t a;
  std::int32_t b;
  std::int16_t offset;
  std::int16_t sign;
};

struct Candidate {
  double score;
  Pair pair;

  bool operator<(const Candidate& other) const {
    if (score != other.score) return score < other.score;
    const auto key = [](const Pair& p) {
      return std::make_tuple(p.a, p.b, p.offset, p.sign);
    };
    return key(other.pair) < key(pair);
  }
};

class Elimination {
 public:
  Elimination(const Problem& problem, const Strategy& strategy, Control& control)
      : problem_(problem), strategy_(strategy), control_(control), rng_(strategy.seed) {}

  Graph run() {
    fill();
    count_all();
    while (!heap_.empty()) take_best();
    for (auto& sum : sums_) graph_.outputs.push_back(add_up(sum));
    drop_unused();
    for (const Node& node : graph_.nodes) {
      if (node.a >= 0) graph_.cost += node_cost(graph_.nodes, node);
    }
    return std::move(graph_);
  }

 private:
  void fill() {
    const std::int64_t rows = problem_.rows;
    const std::int64_t columns = problem_.columns;
    for (std::int64_t i = 0; i < rows; ++i) {
      Node input;
      input.range = problem_.inputs[i];
      input.depth = problem_.depths[i];
      graph_.nodes.push_back(input);
    }
    places_.resize(rows);
    sums_.resize(columns);
    loads_.assign(columns, 0);
    std::mt19937_64* other = strategy_.seed != 0 ? &rng_ : nullptr;
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t i = 0; i < rows; ++i) {
        for (const Digit digit : digits_of(problem_.weights[i * columns + j], other)) {
          const auto shift = static_cast<std::int16_t>(digit.shift);
          const auto sign = static_cast<std::int16_t>(digit.sign);
          sums_[j].push_back({static_cast<std::int32_t>(i), shift, sign});
          places_[i].push_back({static_cast<std::int32_t>(j), shift, sign});
          loads_[j] += load(graph_.nodes[i].depth);
        }
      }
    }
  }

  /// What a term of some depth takes of the 2^max_depth that a sum may have.
  double load(int depth) const { return std::ldexp(1.0, depth); }

  double score(const Pair& pair, std::int64_t count) {
    const Node node = make(pair);
    double value = static_cast<double>(count - 1);
    if (strategy_.cost_power != 0) {
      value *= std::pow(std::max(node_cost(graph_.nodes, node), 1.0),
                        strategy_.cost_power);
    }
    value /= 1 + strategy_.depth_penalty * node.depth;
    if (strategy_.seed != 0) value *= 1 + 0.05 * noise(pair);
    return value;
  }

  /// In [0, 1), always the same for a pair: scores of a pair must only fall.
  double noise(const Pair& pair) const {
    std::uint64_t h = strategy_.seed;
    for (const std::int64_t part : {pair.a, pair.b, static_cast<std::int32_t>(pair.offset),
                                    static_cast<std::int32_t>(pair.sign)}) {
      h = (h ^ static_cast<std::uint64_t>(part)) * 0x9E3779B97F4A7C15ull;
      h ^= h >> 29;
    }
    return static_cast<double>(h >> 11) * 0x1p-53;
  }

  /// The adder of a pair. What is subtracted has the higher shift where possible: then
  /// the low bits of the difference are those of the minuend.
  Node make(const Pair& pair) const {
    const int shift_a = pair.offset < 0 ? -pair.offset : 0;
    const int shift_b = pair.offset > 0 ? pair.offset : 0;
    if (pair.sign > 0) {
      return adder(graph_.nodes, pair.a, pair.b, shift_a, shift_b, false);
    }
    if (swapped(pair)) {
      return adder(graph_.nodes, pair.b, pair.a, shift_b, shift_a, true);
    }
    return adder(graph_.nodes, pair.a, pair.b, shift_a, shift_b, true);
  }

  bool swapped(const Pair& pair) const { return pair.sign < 0 && pair.offset < 0; }

  void count_all() {
    const auto inputs = static_cast<std::int32_t>(places_.size());
    // Shifts are below 64.
    std::vector<std::int32_t> counts(2 * 128);
    for (std::int32_t a = 0; a < inputs; ++a) {
      check();
      for (std::int32_t b = a; b < inputs; ++b) {
        std::fill(counts.begin(), counts.end(), 0);
        count_between(a, b, counts);
        for (int index = 0; index < 256; ++index) {
          if (counts[index] < 2) continue;
          const auto offset = static_cast<std::int16_t>(index / 2 - 64);
          const auto sign = static_cast<std::int16_t>(index % 2 != 0 ? 1 : -1);
          push({a, b, offset, sign}, counts[index]);
        }
      }
    }
  }

  void count_between(std::int32_t a, std::int32_t b, std::vector<std::int32_t>& counts) {
    const auto& left = places_[a];
    const auto& right = places_[b];
    std::size_t start = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      while (start < right.size() && right[start].output < left[i].output) ++start;
      for (std::size_t k = start; k < right.size(); ++k) {
        if (right[k].output != left[i].output) break;
        if (a == b && k <= i) continue;
        const int offset = right[k].shift - left[i].shift;
        const int same = right[k].sign == left[i].sign ? 1 : 0;
        ++counts[2 * (offset + 64) + same];
      }
    }
  }

  void push(const Pair& pair, std::int64_t count) {
    heap_.push({score(pair, count), pair});
  }

  /// Where a pair occurs, without overlaps, and without sums that would get too deep.
  void find(const Pair& pair) {
    found_.clear();
    const auto& left = places_[pair.a];
    const auto& right = places_[pair.b];
    const int depth = std::max(graph_.nodes[pair.a].depth, graph_.nodes[pair.b].depth) + 1;
    const double more = load(depth) - load(graph_.nodes[pair.a].depth) -
                        load(graph_.nodes[pair.b].depth);
    std::size_t k = 0;
    std::int32_t output = -1;
    double load_now = 0;
    for (const Occurrence& place : left) {
      const std::int64_t wanted = place.key(pair.offset);
      while (k < right.size() && right[k].key() < wanted) ++k;
      if (k == right.size()) break;
      if (right[k].key() != wanted || right[k].sign != place.sign * pair.sign) continue;
      if (pair.a == pair.b && is_used(place)) continue;
      if (problem_.max_depth >= 0) {
        if (place.output != output) {
          output = place.output;
          load_now = loads_[output];
        }
        if (load_now + more > load(problem_.max_depth)) continue;
        load_now += more;
      }
      found_.push_back(place);
    }
  }

  /// Whether a term is the upper one of a pair of the same value found before.
  bool is_used(const Occurrence& place) const {
    for (auto it = found_.rbegin(); it != found_.rend(); ++it) {
      if (it->output != place.output) return false;
      if (it->key(current_offset_) == place.key()) return true;
    }
    return false;
  }

  void take_best() {
    const Candidate best = heap_.top();
    heap_.pop();
    current_offset_ = best.pair.offset;
    find(best.pair);
    if (found_.size() < 2) return;
    const double now = score(best.pair, static_cast<std::int64_t>(found_.size()));
    if (now < best.score) {
      // Some were taken by others; it gets its turn again.
      heap_.push({now, best.pair});
      return;
    }
    replace(best.pair);
    check();
  }

  void replace(const Pair& pair) {
    const auto node = static_cast<std::int32_t>(graph_.nodes.size());
    graph_.nodes.push_back(make(pair));
    places_.emplace_back();
    const int low = std::min<int>(pair.offset, 0);
    const int flip = swapped(pair) ? -1 : 1;
    const double more = load(graph_.nodes[node].depth) - load(graph_.nodes[pair.a].depth) -
                        load(graph_.nodes[pair.b].depth);
    for (const Occurrence& place : found_) {
      remove_term(place.output, pair.a, place.shift);
      remove_term(place.output, pair.b, place.shift + pair.offset);
      const auto shift = static_cast<std::int16_t>(place.shift + low);
      const auto sign = static_cast<std::int16_t>(place.sign * flip);
      sums_[place.output].push_back({node, shift, sign});
      places_[node].push_back({place.output, shift, sign});
      loads_[place.output] += more;
    }
    remove_places(pair.a, 0);
    remove_places(pair.b, pair.offset);
    auto& places = places_[node];
    std::sort(places.begin(), places.end(),
              [](const Occurrence& a, const Occurrence& b) { return a.key() < b.key(); });
    count_new(node);
  }

  void remove_term(std::int32_t output, std::int32_t node, int shift) {
    auto& sum = sums_[output];
    for (auto& term : sum) {
      if (term.node == node && term.shift == shift) {
        term = sum.back();
        sum.pop_back();
        return;
      }
    }
  }

  /// Take the found places, moved by `offset`, out of those of a node.
  void remove_places(std::int32_t node, int offset) {
    auto& places = places_[node];
    std::size_t next = 0;
    std::size_t kept = 0;
    for (const Occurrence& place : places) {
      while (next < found_.size() && found_[next].key(offset) < place.key()) ++next;
      if (next < found_.size() && found_[next].key(offset) == place.key()) continue;
      places[kept++] = place;
    }
    places.resize(kept);
  }

  /// Pairs of a new node with everything else; only those that occur twice matter, for
  /// no pair ever becomes more frequent.
  void count_new(std::int32_t node) {
    keys_.clear();
    for (const Occurrence& place : places_[node]) {
      for (const Term& term : sums_[place.output]) {
        const int offset = term.shift - place.shift;
        if (term.node == node && offset <= 0) continue;
        const std::uint64_t same = term.sign == place.sign ? 1 : 0;
        keys_.push_back((static_cast<std::uint64_t>(term.node) << 9) |
                        (static_cast<std::uint64_t>(offset + 128) << 1) | same);
      }
    }
    std::sort(keys_.begin(), keys_.end());
    for (std::size_t i = 0; i < keys_.size();) {
      std::size_t end = i;
      while (end < keys_.size() && keys_[end] == keys_[i]) ++end;
      if (end - i >= 2) {
        const auto other = static_cast<std::int32_t>(keys_[i] >> 9);
        const int offset = static_cast<int>((keys_[i] >> 1) & 255) - 128;
        const auto sign = static_cast<std::int16_t>((keys_[i] & 1) != 0 ? 1 : -1);
        push({node, other, static_cast<std::int16_t>(offset), sign},
             static_cast<std::int64_t>(end - i));
      }
      i = end;
    }
  }

  /// Adds the terms of an output: cheap adders first, as deep as they need to be.
  Output add_up(std::vector<Term>& terms) {
    if (terms.empty()) return {};
    double total = 0;
    for (const Term& term : terms) total += load(graph_.nodes[term.node].depth);
    int limit = problem_.max_depth;
    if (limit < 0) limit = static_cast<int>(std::ceil(std::log2(total)));
    while (terms.size() > 1) {
      std::sort(terms.begin(), terms.end(), [this](const Term& a, const Term& b) {
        return std::make_tuple(graph_.nodes[a.node].depth, a.shift, a.node, a.sign) <
               std::make_tuple(graph_.nodes[b.node].depth, b.shift, b.node, b.sign);
      });
      const std::size_t window = std::min<std::size_t>(terms.size(), 12);
      double least = 0;
      std::size_t first = 0;
      std::size_t second = 0;
      for (std::size_t i = 0; i < window; ++i) {
        for (std::size_t k = i + 1; k < window; ++k) {
          const double extra = load_of_pair(terms[i], terms[k]);
          if (total + extra > load(limit) && (i != 0 || k != 1)) continue;
          const double cost = node_cost(graph_.nodes, make(pair_of(terms[i], terms[k])));
          if (second == 0 || cost < least) {
            least = cost;
            first = i;
            second = k;
          }
        }
      }
      const Pair pair = pair_of(terms[first], terms[second]);
      total += load_of_pair(terms[first], terms[second]);
      const int low = std::min<int>(pair.offset, 0);
      const Term sum{static_cast<std::int32_t>(graph_.nodes.size()),
                     static_cast<std::int16_t>(terms[first].shift + low),
                     static_cast<std::int16_t>(terms[first].sign * (swapped(pair) ? -1 : 1))};
      graph_.nodes.push_back(make(pair));
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(second));
      terms[first] = sum;
    }
    return {terms[0].node, terms[0].shift, terms[0].sign < 0};
  }

  double load_of_pair(const Term& a, const Term& b) const {
    const int left = graph_.nodes[a.node].depth;
    const int right = graph_.nodes[b.node].depth;
    return load(std::max(left, right) + 1) - load(left) - load(right);
  }

  static Pair pair_of(const Term& a, const Term& b) {
    return {a.node, b.node, static_cast<std::int16_t>(b.shift - a.shift),
            static_cast<std::int16_t>(a.sign * b.sign)};
  }

  void drop_unused() {
    auto& nodes = graph_.nodes;
    std::vector<char> used(nodes.size(), 0);
    for (const Output& output : graph_.outputs) {
      if (output.node >= 0) used[output.node] = 1;
    }
    for (std::size_t i = nodes.size(); i-- > places_count();) {
      if (used[i] != 0) used[nodes[i].a] = used[nodes[i].b] = 1;
    }
    std::vector<std::int32_t> moved(nodes.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      moved[i] = static_cast<std::int32_t>(kept);
      if (i >= places_count() && used[i] == 0) continue;
      nodes[kept] = nodes[i];
      if (nodes[kept].a >= 0) {
        nodes[kept].a = moved[nodes[kept].a];
        nodes[kept].b = moved[nodes[kept].b];
      }
      ++kept;
    }
    nodes.resize(kept);
    for (Output& output : graph_.outputs) {
      if (output.node >= 0) output.node = moved[output.node];
    }
  }

  std::size_t places_count() const { return static_cast<std::size_t>(problem_.rows); }

  void check() const {
    if (control_.cancelled.load(std::memory_order_relaxed)) throw Cancelled();
  }

  const Problem& problem_;
  const Strategy strategy_;
  Control& control_;
  std::mt19937_64 rng_;
  Graph graph_;
  std::vector<std::vector<Term>> sums_;
  std::vector<std::vector<Occurrence>> places_;
  std::vector<double> loads_;
  std::priority_queue<Candidate> heap_;
  std::vector<Occurrence> found_;
  std::vector<std::uint64_t> keys_;
  int current_offset_ = 0;
};

}  // namespace

double adder_cost(Interval a, Interval b, int shift_a, int shift_b, bool subtract) {
  const Interval left = shifted(a, shift_a);
  const Interval right = shifted(b, shift_b);
  const Interval result = sum(left, right, subtract);
  // Low bits of only one operand are wires, unless they are subtracted.
  const int low = subtract ? shift_b : std::max(shift_a, shift_b);
  const int top = width_of(result);
  // Above an operand without a sign, only the carry goes on: no table.
  int overlap = top;
  if (left.lo >= 0) overlap = std::min(overlap, width_of(left));
  if (right.lo >= 0 && !subtract) overlap = std::min(overlap, width_of(right));
  return std::max(overlap - low, 0);
}

std::int32_t least_depth(const Problem& problem) {
  double most = 1;
  for (std::int64_t j = 0; j < problem.columns; ++j) {
    double total = 0;
    for (std::int64_t i = 0; i < problem.rows; ++i) {
      const std::int64_t weight = problem.weights[i * problem.columns + j];
      total += std::ldexp(digits_of(weight, nullptr).size(), problem.depths[i]);
    }
    most = std::max(most, total);
  }
  return static_cast<std::int32_t>(std::ceil(std::log2(most)));
}

namespace {

/// A problem without zero, equal, negated or shifted columns, and how to undo that.
struct Unique {
  Problem problem;
  /// Per original column: the unique one, or -1 for zeros, with shift and sign.
  std::vector<Output> columns;
};

Unique unique_columns(const Problem& problem) {
  Unique result;
  std::map<std::vector<std::int64_t>, std::int32_t> seen;
  std::vector<std::vector<std::int64_t>> kept;
  for (std::int64_t j = 0; j < problem.columns; ++j) {
    std::vector<std::int64_t> column(problem.rows);
    std::int64_t bits = 0;
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < problem.rows; ++i) {
      column[i] = problem.weights[i * problem.columns + j];
      bits |= column[i];
      if (first == 0) first = column[i];
    }
    if (bits == 0) {
      result.columns.push_back({});
      continue;
    }
    const int shift = __builtin_ctzll(static_cast<std::uint64_t>(bits));
    for (auto& weight : column) weight = (weight >> shift) * (first < 0 ? -1 : 1);
    const auto index = static_cast<std::int32_t>(kept.size());
    const auto [place, added] = seen.emplace(column, index);
    if (added) kept.push_back(std::move(column));
    result.columns.push_back({place->second, shift, first < 0});
  }
  result.problem = problem;
  result.problem.columns = static_cast<std::int64_t>(kept.size());
  result.problem.weights.clear();
  for (std::int64_t i = 0; i < problem.rows; ++i) {
    for (const auto& column : kept) result.problem.weights.push_back(column[i]);
  }
  return result;
}

struct Attempt {
  Strategy strategy;
};

std::vector<Attempt> attempts(int effort) {
  std::vector<Attempt> list = {{{0.5, 0.0, 0}}};
  if (effort >= 1) {
    list.push_back({{1.0, 0.0, 0}});
  }
  if (effort >= 2) {
    list.push_back({{0.0, 0.0, 0}});
    list.push_back({{0.5, 0.1, 0}});
    list.push_back({{1.0, 0.1, 0}});
  }
  const int noisy = effort >= 3 ? 24 : effort == 2 ? 3 : 0;
  for (int seed = 1; seed <= noisy; ++seed) {
    list.push_back({{0.5, 0.0, static_cast<std::uint64_t>(seed)}});
  }
  return list;
}

}  // namespace

Graph solve(const Problem& problem, int effort, int threads, Control& control) {
  if (problem.max_depth >= 0 && problem.max_depth < least_depth(problem)) {
    throw std::invalid_argument("a depth of " + std::to_string(problem.max_depth) +
                                " cannot be had, the smallest is " +
                                std::to_string(least_depth(problem)));
  }
  const Unique unique = unique_columns(problem);
  const std::vector<Attempt> list = attempts(effort);
  std::vector<Graph> graphs(list.size());
  std::vector<std::exception_ptr> errors(list.size());
  control.total = static_cast<std::int64_t>(list.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < list.size(); i = next++) {
      try {
        graphs[i] = Elimination(unique.problem, list[i].strategy, control).run();
        ++control.done;
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
  std::size_t best = 0;
  for (std::size_t i = 1; i < graphs.size(); ++i) {
    if (graphs[i].cost < graphs[best].cost) best = i;
  }
  Graph result = std::move(graphs[best]);
  const std::vector<Output> outputs = std::move(result.outputs);
  result.outputs.clear();
  for (const Output& column : unique.columns) {
    Output output = column;
    if (column.node >= 0) {
      const Output& base = outputs[column.node];
      output = {base.node, base.shift + column.shift, base.negative != column.negative};
    }
    result.outputs.push_back(output);
  }
  return result;
}

}  // namespace mase

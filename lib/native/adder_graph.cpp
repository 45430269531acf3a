#include "adder_graph.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
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

/// The sum of two outputs, without a sign where one of them has none.
Output join(std::vector<Node>& nodes, const Output& a, const Output& b) {
  if (a.node < 0) return b;
  if (b.node < 0) return a;
  const int low = std::min(a.shift, b.shift);
  const bool differ = a.negative != b.negative;
  const Output& first = differ && a.negative ? b : a;
  const Output& second = differ && a.negative ? a : b;
  nodes.push_back(adder(nodes, first.node, second.node, first.shift - low,
                        second.shift - low, differ));
  return {static_cast<std::int32_t>(nodes.size()) - 1, low, first.negative};
}

struct Digit {
  int shift;
  int sign;
};

/// Canonical signed digits.
std::vector<Digit> digits_of(std::int64_t weight) {
  std::vector<Digit> digits;
  Wide rest = weight;
  for (int shift = 0; rest != 0; ++shift, rest /= 2) {
    if ((rest & 1) == 0) continue;
    const int digit = 2 - static_cast<int>(rest & 3);
    digits.push_back({shift, digit});
    rest -= digit;
  }
  return digits;
}

int digit_count(std::int64_t weight) {
  // The digits of w are where 3w and w differ (Reitwiesner, 1960).
  const auto w = static_cast<unsigned __int128>(weight < 0 ? -static_cast<Wide>(weight)
                                                           : static_cast<Wide>(weight));
  const unsigned __int128 digits = (3 * w) ^ w;
  return std::popcount(static_cast<std::uint64_t>(digits)) +
         std::popcount(static_cast<std::uint64_t>(digits >> 64));
}

/// Weights of a matrix that takes a second or so, for one attempt.
constexpr std::int64_t LARGE = 1 << 13;

struct Term {
  std::int32_t node;
  std::int16_t shift;
  std::int16_t sign;
};

/// Where a value is a term: output, shift and sign in one number, sorted by them.
using Place = std::uint64_t;
constexpr int SHIFT_BITS = 9;
constexpr int SHIFT_BIAS = 128;

Place place_of(std::int64_t output, int shift, int sign) {
  return (static_cast<Place>(output) << (SHIFT_BITS + 1)) |
         (static_cast<Place>(shift + SHIFT_BIAS) << 1) | (sign < 0 ? 1 : 0);
}

std::int32_t output_of(Place place) {
  return static_cast<std::int32_t>(place >> (SHIFT_BITS + 1));
}

int shift_of(Place place) {
  return static_cast<int>((place >> 1) & ((1 << SHIFT_BITS) - 1)) - SHIFT_BIAS;
}

int sign_of(Place place) { return (place & 1) != 0 ? -1 : 1; }

/// The place of the other term of a pair.
Place moved(Place place, int offset, int sign) {
  return (place + 2 * static_cast<std::int64_t>(offset)) ^ (sign < 0 ? 1u : 0u);
}

/// a << s and ±b << (s + offset) in the same sum.
struct Pair {
  std::int32_t a;
  std::int32_t b;
  std::int16_t offset;
  std::int16_t sign;
};

/// Pairs by score, highest first; about equal scores are one, the latest first.
class Queue {
 public:
  static int level(double score) {
    return std::clamp(static_cast<int>(std::log2(score) * STEPS) + STEPS * 8, 0, LEVELS - 1);
  }

  void push(int level, const Pair& pair) {
    buckets_[level].push_back(pair);
    top_ = std::max(top_, level);
  }

  /// The level of the best pair, or -1.
  int top() {
    while (top_ >= 0 && buckets_[top_].empty()) --top_;
    return top_;
  }

  Pair pop() {
    const Pair pair = buckets_[top_].back();
    buckets_[top_].pop_back();
    return pair;
  }

  static constexpr int STEPS = 32;
  static constexpr int LEVELS = STEPS * 40;

 private:
  std::vector<std::vector<Pair>> buckets_{LEVELS};
  int top_ = -1;
};

class Elimination {
 public:
  Elimination(const Problem& problem, Control& control)
      : problem_(problem), control_(control) {}

  Graph run() {
    fill();
    // Pairs of inputs come in by rounds: by the time of the rare ones, few are left.
    for (int highest = Queue::LEVELS - 1; highest >= 0;) {
      floor_ = std::max(highest - ROUND, 0);
      highest = count_inputs();
      for (int level = queue_.top(); level >= floor_; level = queue_.top()) {
        take_best(level);
      }
    }
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
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t i = 0; i < rows; ++i) {
        for (const Digit digit : digits_of(problem_.weights[i * columns + j])) {
          const auto shift = static_cast<std::int16_t>(digit.shift);
          const auto sign = static_cast<std::int16_t>(digit.sign);
          sums_[j].push_back({static_cast<std::int32_t>(i), shift, sign});
          places_[i].push_back(place_of(j, shift, sign));
          loads_[j] += load(graph_.nodes[i].depth);
        }
      }
    }
  }

  /// What a term of some depth takes of the 2^max_depth that a sum may have.
  static double load(int depth) { return std::ldexp(1.0, depth); }

  /// What a pair saves, times the square of what its adder costs, a little more for
  /// pairs of pairs: on random matrices, that leads to fewer tables than savings alone.
  double score(const Pair& pair, std::int64_t count) const {
    const Node node = make(pair);
    const double cost = std::max(node_cost(graph_.nodes, node), 1.0);
    return static_cast<double>(count - 1) * cost * cost * (1 + 0.1 * node.depth);
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

  /// Queue the pairs of inputs down to the level of the round; the highest one below.
  int count_inputs() {
    const auto inputs = static_cast<std::int32_t>(problem_.rows);
    int below = -1;
    // Shifts are below 64.
    std::vector<std::int32_t> counts(2 * 128);
    for (std::int32_t a = 0; a < inputs; ++a) {
      check();
      for (std::int32_t b = a; b < inputs; ++b) {
        if (std::min(places_[a].size(), places_[b].size()) < 2) continue;
        std::fill(counts.begin(), counts.end(), 0);
        count_between(a, b, counts);
        for (int index = 0; index < 256; ++index) {
          if (counts[index] < 2) continue;
          const auto offset = static_cast<std::int16_t>(index / 2 - 64);
          const auto sign = static_cast<std::int16_t>(index % 2 != 0 ? 1 : -1);
          const Pair pair{a, b, offset, sign};
          const int level = Queue::level(score(pair, counts[index]));
          if (level >= floor_) {
            queue_.push(level, pair);
          } else {
            below = std::max(below, level);
          }
        }
      }
    }
    return below;
  }

  void count_between(std::int32_t a, std::int32_t b, std::vector<std::int32_t>& counts) {
    const auto& left = places_[a];
    const auto& right = places_[b];
    std::size_t start = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::int32_t output = output_of(left[i]);
      while (start < right.size() && output_of(right[start]) < output) ++start;
      for (std::size_t k = start; k < right.size(); ++k) {
        if (output_of(right[k]) != output) break;
        if (a == b && k <= i) continue;
        const int offset = shift_of(right[k]) - shift_of(left[i]);
        const int same = ((right[k] ^ left[i]) & 1) == 0 ? 1 : 0;
        ++counts[2 * (offset + 64) + same];
      }
    }
  }

  /// Where a pair occurs, without overlaps, and without sums that would get too deep.
  void find(const Pair& pair) {
    found_.clear();
    const auto& left = places_[pair.a];
    const auto& right = places_[pair.b];
    // Most nodes occur in a few sums, inputs in all: look up what the rarer one has.
    if (left.size() <= right.size()) {
      auto from = right.begin();
      for (const Place place : left) {
        const Place wanted = moved(place, pair.offset, pair.sign);
        from = search(from, right.end(), wanted);
        if (from == right.end()) break;
        if (*from == wanted) take(pair, place);
      }
    } else {
      auto from = left.begin();
      for (const Place other : right) {
        const Place wanted = moved(other, -pair.offset, pair.sign);
        from = search(from, left.end(), wanted);
        if (from == left.end()) break;
        if (*from == wanted) take(pair, wanted);
      }
    }
    if (problem_.max_depth >= 0) drop_too_deep(pair);
  }

  using Iterator = std::vector<Place>::const_iterator;

  /// The first place at or behind `from` that is not before `place`, which is near.
  static Iterator search(Iterator from, Iterator end, Place place) {
    std::ptrdiff_t step = 1;
    while (step < end - from && from[step] < place) {
      from += step;
      step *= 2;
    }
    return std::lower_bound(from, from + std::min(step + 1, end - from), place);
  }

  void take(const Pair& pair, Place place) {
    if (pair.a != pair.b || !is_used(place, pair)) found_.push_back(place);
  }

  /// Whether a term is the upper one of a pair of the same value found before.
  bool is_used(Place place, const Pair& pair) const {
    for (auto it = found_.rbegin(); it != found_.rend(); ++it) {
      if (output_of(*it) != output_of(place)) return false;
      if (moved(*it, pair.offset, pair.sign) == place) return true;
    }
    return false;
  }

  void drop_too_deep(const Pair& pair) {
    const double more = load_of_pair(pair.a, pair.b);
    const double limit = load(problem_.max_depth);
    std::int32_t output = -1;
    double now = 0;
    std::erase_if(found_, [&](Place place) {
      if (output_of(place) != output) {
        output = output_of(place);
        now = loads_[output];
      }
      if (now + more > limit) return true;
      now += more;
      return false;
    });
  }

  void take_best(int level) {
    const Pair pair = queue_.pop();
    if (std::min(places_[pair.a].size(), places_[pair.b].size()) < 2) return;
    find(pair);
    if (found_.size() < 2) return;
    const int now = Queue::level(score(pair, static_cast<std::int64_t>(found_.size())));
    if (now < level) {
      // Some were taken by others; it gets its turn again, inputs in a later round.
      const bool later = std::max(pair.a, pair.b) < problem_.rows && now < floor_;
      if (!later) queue_.push(now, pair);
      return;
    }
    replace(pair);
    check();
  }

  void replace(const Pair& pair) {
    const auto node = static_cast<std::int32_t>(graph_.nodes.size());
    graph_.nodes.push_back(make(pair));
    places_.emplace_back();
    const int low = std::min<int>(pair.offset, 0);
    const int flip = swapped(pair) ? -1 : 1;
    const double more = load_of_pair(pair.a, pair.b);
    for (const Place place : found_) {
      const std::int32_t output = output_of(place);
      remove_term(output, pair.a, shift_of(place));
      remove_term(output, pair.b, shift_of(place) + pair.offset);
      const int shift = shift_of(place) + low;
      const int sign = sign_of(place) * flip;
      sums_[output].push_back(
          {node, static_cast<std::int16_t>(shift), static_cast<std::int16_t>(sign)});
      places_[node].push_back(place_of(output, shift, sign));
      loads_[output] += more;
    }
    remove_places(pair.a, 0, 1);
    remove_places(pair.b, pair.offset, pair.sign);
    std::sort(places_[node].begin(), places_[node].end());
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

  /// Take the found places, as moved, out of those of a node.
  void remove_places(std::int32_t node, int offset, int sign) {
    auto& places = places_[node];
    const Place first = moved(found_[0], offset, sign);
    auto kept = search(places.begin(), places.end(), first) - places.cbegin();
    std::size_t next = 0;
    for (auto i = kept; i < std::ssize(places); ++i) {
      if (next < found_.size() && moved(found_[next], offset, sign) == places[i]) {
        ++next;
      } else {
        places[kept++] = places[i];
      }
    }
    places.resize(kept);
  }

  /// Pairs of a new node with everything else; only those that occur twice matter, for
  /// no pair ever becomes more frequent.
  void count_new(std::int32_t node) {
    std::size_t terms = 0;
    for (const Place place : places_[node]) terms += sums_[output_of(place)].size();
    const std::size_t size = std::bit_ceil(2 * terms + 1);
    if (slots_.size() < size) slots_.resize(size);
    std::fill_n(slots_.begin(), size, Slot{});
    twice_.clear();
    for (const Place place : places_[node]) {
      for (const Term& term : sums_[output_of(place)]) {
        const int offset = term.shift - shift_of(place);
        if (term.node == node && offset <= 0) continue;
        const std::uint64_t same = term.sign == sign_of(place) ? 1 : 0;
        const std::uint64_t key = (static_cast<std::uint64_t>(term.node + 1) << 9) |
                                  (static_cast<std::uint64_t>(offset + 128) << 1) | same;
        std::size_t index = (key * 0x9E3779B97F4A7C15ull >> 20) & (size - 1);
        while (slots_[index].key != 0 && slots_[index].key != key) {
          index = (index + 1) & (size - 1);
        }
        slots_[index].key = key;
        if (++slots_[index].count == 2) twice_.push_back(index);
      }
    }
    for (const std::size_t index : twice_) {
      const std::uint64_t key = slots_[index].key;
      const auto other = static_cast<std::int32_t>(key >> 9) - 1;
      const int offset = static_cast<int>((key >> 1) & 255) - 128;
      const auto sign = static_cast<std::int16_t>((key & 1) != 0 ? 1 : -1);
      const Pair pair{node, other, static_cast<std::int16_t>(offset), sign};
      queue_.push(Queue::level(score(pair, slots_[index].count)), pair);
    }
  }

  /// Adds the terms of an output: cheap adders first, as deep as they need to be.
  Output add_up(std::vector<Term>& terms) {
    if (terms.empty()) return {};
    double total = 0;
    for (const Term& term : terms) total += load(graph_.nodes[term.node].depth);
    int limit = problem_.max_depth;
    if (limit < 0) limit = static_cast<int>(std::ceil(std::log2(total))) + SLACK;
    while (terms.size() > 2) {
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
          const double extra = load_of_pair(terms[i].node, terms[k].node);
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
      total += load_of_pair(terms[first].node, terms[second].node);
      const int low = std::min<int>(pair.offset, 0);
      const Term sum{static_cast<std::int32_t>(graph_.nodes.size()),
                     static_cast<std::int16_t>(terms[first].shift + low),
                     static_cast<std::int16_t>(terms[first].sign * (swapped(pair) ? -1 : 1))};
      graph_.nodes.push_back(make(pair));
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(second));
      terms[first] = sum;
    }
    const Output first{terms[0].node, terms[0].shift, terms[0].sign < 0};
    if (terms.size() == 1) return first;
    return join(graph_.nodes, first, {terms[1].node, terms[1].shift, terms[1].sign < 0});
  }

  /// Adders that the sum of an output may be deeper than it must be.
  static constexpr int SLACK = 1;

  /// What the load of a sum grows by if two of its terms are added first.
  double load_of_pair(std::int32_t a, std::int32_t b) const {
    const int left = graph_.nodes[a].depth;
    const int right = graph_.nodes[b].depth;
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
  Control& control_;
  Graph graph_;
  std::vector<std::vector<Term>> sums_;
  std::vector<std::vector<Place>> places_;
  std::vector<double> loads_;
  Queue queue_;
  /// The lowest level of a round, which spans half the scores.
  int floor_ = 0;
  static constexpr int ROUND = Queue::STEPS;
  std::vector<Place> found_;
  struct Slot {
    std::uint64_t key = 0;
    std::int64_t count = 0;
  };
  /// A hash table of pairs, and where those are that occur twice.
  std::vector<Slot> slots_;
  std::vector<std::size_t> twice_;
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
      total += std::ldexp(digit_count(weight), problem.depths[i]);
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

/// Columns as differences from other columns, which form a tree.
struct Differences {
  Problem problem;
  /// Per column: what it is a difference from, or -1, and whether that is negated.
  std::vector<std::int32_t> parents;
  std::vector<bool> negated;
  /// Columns, parents first.
  std::vector<std::int32_t> order;
};

/// The spanning tree of fewest digits, of bounded height, in which another column
/// counts as `penalty` digits (Prim, 1957; for constant matrices: Sun et al., 2024).
Differences differences(const Problem& problem, int height, double penalty) {
  const std::int64_t rows = problem.rows;
  const std::int64_t columns = problem.columns;
  const auto weight = [&](std::int64_t i, std::int64_t j) {
    return problem.weights[i * columns + j];
  };
  Differences result;
  result.problem = problem;
  result.parents.assign(columns, -1);
  result.negated.assign(columns, false);
  std::vector<double> cost(columns, 0);
  std::vector<int> depth(columns, 0);
  std::vector<char> done(columns, 0);
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) cost[j] += digit_count(weight(i, j));
  }
  for (std::int64_t step = 0; step < columns; ++step) {
    std::int32_t next = -1;
    for (std::int32_t j = 0; j < columns; ++j) {
      if (done[j] == 0 && (next < 0 || cost[j] < cost[next])) next = j;
    }
    done[next] = 1;
    result.order.push_back(next);
    const std::int32_t parent = result.parents[next];
    if (parent >= 0) depth[next] = depth[parent] + 1;
    if (depth[next] == height) continue;
    for (std::int32_t j = 0; j < columns; ++j) {
      if (done[j] != 0) continue;
      for (const bool negated : {false, true}) {
        double digits = penalty;
        for (std::int64_t i = 0; i < rows && digits < cost[j]; ++i) {
          digits += digit_count(weight(i, j) - (negated ? -1 : 1) * weight(i, next));
        }
        if (digits < cost[j]) {
          cost[j] = digits;
          result.parents[j] = next;
          result.negated[j] = negated;
        }
      }
    }
  }
  for (std::int64_t j = 0; j < columns; ++j) {
    const std::int32_t parent = result.parents[j];
    if (parent < 0) continue;
    for (std::int64_t i = 0; i < rows; ++i) {
      result.problem.weights[i * columns + j] -=
          (result.negated[j] ? -1 : 1) * weight(i, parent);
    }
  }
  return result;
}

/// A tree of differences; none if its height is 0.
struct Attempt {
  int height = 0;
  double penalty = 0;
};

/// The graph of one attempt; without outputs if it cannot keep the depth.
Graph attempt(const Problem& problem, const Attempt& how, Control& control) {
  if (how.height == 0) return Elimination(problem, control).run();
  Differences tree = differences(problem, how.height, how.penalty);
  if (problem.max_depth >= 0) {
    tree.problem.max_depth -= how.height;
    if (tree.problem.max_depth < least_depth(tree.problem)) return {};
  }
  Graph graph = Elimination(tree.problem, control).run();
  for (const std::int32_t j : tree.order) {
    if (tree.parents[j] < 0) continue;
    Output parent = graph.outputs[tree.parents[j]];
    parent.negative = parent.negative != tree.negated[j];
    const std::size_t before = graph.nodes.size();
    graph.outputs[j] = join(graph.nodes, parent, graph.outputs[j]);
    if (graph.nodes.size() > before) {
      graph.cost += node_cost(graph.nodes, graph.nodes.back());
    }
  }
  return graph;
}

/// More attempts for more effort, but fewer of them on large matrices.
std::vector<Attempt> attempts(int effort, std::int64_t weights) {
  std::vector<Attempt> list = {{}};
  const std::vector<std::size_t> most = {1, 3, 9, 25};
  for (const double penalty : {4.0, 2.0, 6.0, 3.0, 5.0, 1.0}) {
    for (const int height : {3, 2, 4, 1}) list.push_back({height, penalty});
  }
  const std::int64_t budget = static_cast<std::int64_t>(LARGE) << (2 * effort);
  const auto affordable = static_cast<std::size_t>(budget / std::max<std::int64_t>(weights, 1));
  list.resize(std::clamp<std::size_t>(affordable, 1, most[effort]));
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
  const std::vector<Attempt> list =
      attempts(effort, unique.problem.rows * unique.problem.columns);
  std::vector<Graph> graphs(list.size());
  std::vector<std::exception_ptr> errors(list.size());
  control.total = static_cast<std::int64_t>(list.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < list.size(); i = next++) {
      try {
        graphs[i] = attempt(unique.problem, list[i], control);
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
    const bool kept = graphs[i].outputs.size() == graphs[best].outputs.size();
    if (kept && graphs[i].cost < graphs[best].cost) best = i;
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

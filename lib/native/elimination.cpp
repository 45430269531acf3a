#include "elimination.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "digits.hpp"

namespace mase {
namespace {

/// Levels that a round spans: half the scores.
constexpr int ROUND = Queue::STEPS;

/// Adders that the sum of an output may be deeper than it must be.
constexpr int SLACK = 1;

/// Terms of a sum that are tried with each other.
constexpr int WINDOW = 12;

/// What a term of some depth takes of the 2^max_depth that a sum may have.
double load(int depth) { return std::ldexp(1.0, depth); }

/// The highest shift of the digits.
int highest_shift(const Problem& problem) {
  int highest = 0;
  for (const std::int64_t weight : problem.weights) {
    if (weight != 0) highest = std::max(highest, digits_of(weight).back().shift);
  }
  return highest;
}

using Iterator = std::vector<Place>::const_iterator;

/// The first place at or behind `from` that is not before `place`, which is near.
Iterator seek(Iterator from, Iterator end, Place place) {
  std::ptrdiff_t step = 1;
  while (step < end - from && from[step] < place) {
    from += step;
    step *= 2;
  }
  return std::lower_bound(from, from + std::min(step + 1, end - from), place);
}

}  // namespace

Elimination::Elimination(const Problem& problem, Builder& builder, Control& control)
    : problem_(problem),
      builder_(builder),
      control_(control),
      layout_(problem.height, problem.width, highest_shift(problem)) {}

std::vector<Output> Elimination::run() {
  fill();
  // Pairs of inputs come in by rounds: by the time of the rare ones, few are left.
  for (int highest = Queue::LEVELS - 1; highest >= 0;) {
    floor_ = std::max(highest - ROUND, 0);
    highest = count_inputs();
    for (int level = queue_.top(); level >= floor_; level = queue_.top()) {
      take_best(level);
    }
  }
  std::vector<Output> outputs;
  for (auto& sum : sums_) outputs.push_back(add_up(sum));
  return outputs;
}

void Elimination::fill() {
  places_.resize(problem_.inputs);
  sums_.resize(problem_.outputs);
  loads_.assign(problem_.outputs, 0);
  for (std::int32_t o = 0; o < problem_.outputs; ++o) {
    for (std::int32_t i = 0; i < problem_.inputs; ++i) {
      const std::int64_t* kernel = problem_.kernel(i, o);
      for (std::int32_t t = 0; t < problem_.taps(); ++t) {
        const auto width = static_cast<std::int32_t>(problem_.width);
        for (const Digit digit : digits_of(kernel[t])) {
          const Local local =
              layout_.local({t / width, t % width}, digit.shift, digit.sign < 0);
          sums_[o].push_back({i, local});
          places_[i].push_back(place_of(o, local));
          loads_[o] += load(builder_[i].depth);
        }
      }
    }
  }
}

/// The tables that a pair saves, a little more for pairs of pairs: on random matrices,
/// that leads to fewer of them in the end.
double Elimination::score(const Pair& pair, std::int64_t count) const {
  const int depth = std::max(builder_[pair.a].depth, builder_[pair.b].depth) + 1;
  const double cost = std::max(pair.cost, 1.0f);
  return static_cast<double>(count - 1) * cost * (1 + 0.2 * depth);
}

Pair Elimination::pair_of(std::int32_t a, std::int32_t b, Move way) const {
  const int shift = layout_.shift_by(way);
  const double cost = adder_cost(builder_[a].range, builder_[b].range,
                                 std::max(-shift, 0), std::max(shift, 0));
  return {a, b, way, static_cast<float>(cost)};
}

/// The adder of a pair. What is subtracted has the higher shift where possible: then
/// the low bits of the difference are those of the minuend.
Node Elimination::make(std::int32_t a, std::int32_t b, Move way) const {
  const int shift = layout_.shift_by(way);
  const Tap tap = layout_.tap_by(way);
  const int shift_a = std::max(-shift, 0);
  const int shift_b = std::max(shift, 0);
  if (flips(way) && shift < 0) {
    return builder_.adder(b, a, shift_b, shift_a, true, Tap{} - tap);
  }
  return builder_.adder(a, b, shift_a, shift_b, flips(way), tap);
}

/// Where the adder of terms at `a` and `b` is a term: as its first operand, but with the
/// lower shift.
Local Elimination::local_of_sum(Local a, Local b) const {
  const int shift_a = layout_.shift(a);
  const int shift_b = layout_.shift(b);
  const bool swapped = is_negative(a) != is_negative(b) && shift_b < shift_a;
  const Local first = swapped ? b : a;
  return layout_.local(layout_.tap(first), std::min(shift_a, shift_b),
                       is_negative(first));
}

/// Queue the pairs of inputs down to the level of the round; the highest one below.
int Elimination::count_inputs() {
  const auto inputs = static_cast<std::int32_t>(problem_.inputs);
  int below = -1;
  counts_.resize(std::size_t{1} << layout_.bits());
  for (std::int32_t a = 0; a < inputs; ++a) {
    control_.check();
    for (std::int32_t b = a; b < inputs; ++b) {
      if (std::min(places_[a].size(), places_[b].size()) < 2) continue;
      count_between(a, b);
      for (const std::uint32_t index : counted_) {
        const std::int32_t count = std::exchange(counts_[index], 0);
        if (count < 2) continue;
        const Pair pair = pair_of(a, b, layout_.way_at(index));
        const int level = Queue::level(score(pair, count));
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

void Elimination::count_between(std::int32_t a, std::int32_t b) {
  const auto& left = places_[a];
  const auto& right = places_[b];
  counted_.clear();
  std::size_t start = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const std::int32_t output = output_of(left[i]);
    while (start < right.size() && output_of(right[start]) < output) ++start;
    for (std::size_t k = start; k < right.size(); ++k) {
      if (output_of(right[k]) != output) break;
      if (a == b && k <= i) continue;
      const std::size_t index =
          layout_.index(way(local_of(left[i]), local_of(right[k])));
      if (++counts_[index] == 1) counted_.push_back(static_cast<std::uint32_t>(index));
    }
  }
}

/// Where a pair occurs, without overlaps, and without sums that would get too deep.
void Elimination::find(const Pair& pair) {
  found_.clear();
  const auto& left = places_[pair.a];
  const auto& right = places_[pair.b];
  // Most nodes occur in a few sums, inputs in all: look up what the rarer one has.
  if (left.size() <= right.size()) {
    auto from = right.begin();
    for (const Place place : left) {
      const Place wanted = moved(place, pair.way);
      from = seek(from, right.end(), wanted);
      if (from == right.end()) break;
      if (*from == wanted) take(pair, place);
    }
  } else {
    auto from = left.begin();
    for (const Place other : right) {
      const Place wanted = moved(other, back(pair.way));
      from = seek(from, left.end(), wanted);
      if (from == left.end()) break;
      if (*from == wanted) take(pair, wanted);
    }
  }
  if (problem_.max_depth >= 0) drop_too_deep(pair);
}

void Elimination::take(const Pair& pair, Place place) {
  if (pair.a != pair.b || !is_used(place, pair)) found_.push_back(place);
}

/// Whether a term is the upper one of a pair of the same value found before.
bool Elimination::is_used(Place place, const Pair& pair) const {
  for (auto it = found_.rbegin(); it != found_.rend(); ++it) {
    if (output_of(*it) != output_of(place)) return false;
    if (moved(*it, pair.way) == place) return true;
  }
  return false;
}

void Elimination::drop_too_deep(const Pair& pair) {
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

void Elimination::take_best(int level) {
  const Pair pair = queue_.pop();
  if (std::min(places_[pair.a].size(), places_[pair.b].size()) < 2) return;
  find(pair);
  if (found_.size() < 2) return;
  const int now = Queue::level(score(pair, static_cast<std::int64_t>(found_.size())));
  if (now < level) {
    // Some were taken by others; it gets its turn again, inputs in a later round.
    const bool later = std::max(pair.a, pair.b) < problem_.inputs && now < floor_;
    if (!later) queue_.push(now, pair);
    return;
  }
  control_.check();
  replace(pair);
}

void Elimination::replace(const Pair& pair) {
  const std::int32_t node = builder_.push(make(pair.a, pair.b, pair.way));
  places_.emplace_back();
  const double more = load_of_pair(pair.a, pair.b);
  for (const Place place : found_) {
    const std::int32_t output = output_of(place);
    const Local a = local_of(place);
    const Local b = local_of(moved(place, pair.way));
    remove_term(output, pair.a, a);
    remove_term(output, pair.b, b);
    const Local local = local_of_sum(a, b);
    sums_[output].push_back({node, local});
    places_[node].push_back(place_of(output, local));
    loads_[output] += more;
  }
  remove_places(pair.a, 0);
  remove_places(pair.b, pair.way);
  std::sort(places_[node].begin(), places_[node].end());
  advance(std::ssize(found_));
  count_new(node);
}

void Elimination::remove_term(std::int32_t output, std::int32_t node, Local local) {
  auto& sum = sums_[output];
  for (auto& term : sum) {
    if (term.node == node && term.local == local) {
      term = sum.back();
      sum.pop_back();
      return;
    }
  }
}

/// Take the found places, as moved, out of those of a node.
void Elimination::remove_places(std::int32_t node, Move way) {
  auto& places = places_[node];
  const Place first = moved(found_[0], way);
  auto kept = seek(places.begin(), places.end(), first) - places.cbegin();
  std::size_t next = 0;
  for (auto i = kept; i < std::ssize(places); ++i) {
    if (next < found_.size() && moved(found_[next], way) == places[i]) {
      ++next;
    } else {
      places[kept++] = places[i];
    }
  }
  places.resize(kept);
}

/// Pairs of a new node with everything else; only those that occur twice matter, for
/// no pair ever becomes more frequent.
void Elimination::count_new(std::int32_t node) {
  std::size_t terms = 0;
  for (const Place place : places_[node]) terms += sums_[output_of(place)].size();
  const std::size_t size = std::bit_ceil(2 * terms + 1);
  if (slots_.size() < size) slots_.resize(size);
  std::fill_n(slots_.begin(), size, Slot{});
  twice_.clear();
  for (const Place place : places_[node]) {
    for (const Term& term : sums_[output_of(place)]) {
      const Move move = way(local_of(place), term.local);
      if (term.node == node && move <= 0) continue;
      const std::uint64_t key = (static_cast<std::uint64_t>(term.node + 1) << 32) |
                                layout_.index(move);
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
    const auto other = static_cast<std::int32_t>(key >> 32) - 1;
    const Pair pair = pair_of(node, other, layout_.way_at(static_cast<Local>(key)));
    queue_.push(Queue::level(score(pair, slots_[index].count)), pair);
  }
}

/// What the load of a sum grows by if two of its terms are added first.
double Elimination::load_of_pair(std::int32_t a, std::int32_t b) const {
  const int left = builder_[a].depth;
  const int right = builder_[b].depth;
  return load(std::max(left, right) + 1) - load(left) - load(right);
}

/// Adds the terms of an output, as deep as the sum needs to be.
Output Elimination::add_up(std::vector<Term>& terms) {
  control_.check();
  if (terms.empty()) return {};
  double total = 0;
  for (const Term& term : terms) total += load(builder_[term.node].depth);
  int limit = problem_.max_depth;
  if (limit < 0) limit = static_cast<int>(std::ceil(std::log2(total))) + SLACK;
  const auto is_higher = [this](const Term& a, const Term& b) {
    return std::make_tuple(-layout_.shift(a.local), a.node, a.local) <
           std::make_tuple(-layout_.shift(b.local), b.node, b.local);
  };
  std::sort(terms.begin(), terms.end(), is_higher);
  while (terms.size() > 2) {
    const auto [first, second] = next_to_add(terms, load(limit) - total);
    const Term a = terms[first];
    const Term b = terms[second];
    total += load_of_pair(a.node, b.node);
    const Term sum = {builder_.push(make(a.node, b.node, way(a.local, b.local))),
                      local_of_sum(a.local, b.local)};
    terms.erase(terms.begin() + second);
    terms.erase(terms.begin() + first);
    terms.insert(std::lower_bound(terms.begin(), terms.end(), sum, is_higher), sum);
    advance(1);
  }
  Output output;
  for (const auto& [node, local] : terms) {
    output = builder_.join(output, {node, layout_.shift(local), is_negative(local),
                                    layout_.tap(local)});
  }
  advance(std::ssize(terms));
  return output;
}

/// Which two terms to add, the lower index first, of those that the load has room for.
///
/// An adder has as many tables as its sum is narrower than its operands together, plus
/// what the sum has above and between their bits. So the tables of all adders of an
/// output depend on the latter alone; that is kept low.
std::pair<int, int> Elimination::next_to_add(const std::vector<Term>& terms,
                                             double room) const {
  std::pair<int, int> best;
  std::pair<int, float> least;
  for (int k = 1; k < std::min<int>(std::ssize(terms), WINDOW); ++k) {
    for (int i = 0; i < k; ++i) {
      const Term& a = terms[i];
      const Term& b = terms[k];
      if (load_of_pair(a.node, b.node) > room) continue;
      const Interval left = shifted(builder_[a.node].range, layout_.shift(a.local));
      const Interval right = shifted(builder_[b.node].range, layout_.shift(b.local));
      const int above = width_of(sum(left, right, false)) -
                        std::max(width_of(left), width_of(right));
      // The first one has the higher shift.
      const int between = std::max(layout_.shift(a.local) - width_of(right), 0);
      const Pair pair = pair_of(a.node, b.node, way(a.local, b.local));
      const std::pair now = {above + between, pair.cost};
      if (best.second == 0 || now < least) {
        least = now;
        best = {i, k};
      }
    }
  }
  if (best.second != 0) return best;
  // The two shallowest ones always fit.
  std::vector<int> order(terms.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 2, order.end(), [&](int i, int k) {
    return std::make_pair(builder_[terms[i].node].depth, i) <
           std::make_pair(builder_[terms[k].node].depth, k);
  });
  return std::minmax(order[0], order[1]);
}

void Elimination::advance(std::int64_t terms) {
  control_.done.fetch_add(terms, std::memory_order_relaxed);
}

}  // namespace mase

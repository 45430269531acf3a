#include "elimination.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "digits.hpp"
#include "random.hpp"

namespace mase {
namespace {

/// Levels that a round spans: down to a third of its highest score.
constexpr int ROUND = Queue::STEPS * 3 / 2;

/// What a seed may add to a score, as a part of it.
constexpr double DISTURBANCE = 0.6;

/// Terms of a sum that are tried with each other.
constexpr int WINDOW = 24;

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

Elimination::Elimination(const Problem& problem, Builder& builder, Control& control,
                         std::uint64_t seed)
    : problem_(problem),
      builder_(builder),
      control_(control),
      seed_(seed),
      layout_(problem.height, problem.width, highest_shift(problem)) {}

std::vector<Output> Elimination::run(const std::vector<Step>& begin) {
  fill();
  for (const Step& step : begin) {
    found_ = step.found;
    replace(pair_of(step.a, step.b, step.way));
  }
  const auto inputs = static_cast<std::int32_t>(problem_.inputs);
  // Pairs come in by rounds: by the time of the rare ones, few of them are left.
  while (!waiting_.empty()) {
    const int highest = *std::max_element(waiting_.begin(), waiting_.end());
    if (highest < 0) break;
    floor_ = std::max(highest - ROUND, 0);
    count_inputs();
    for (std::int32_t node = inputs; node < builder_.size(); ++node) {
      if (waiting_[node] < floor_) continue;
      control_.check();
      count(node);
    }
    for (int level = queue_.top(); level >= floor_; level = queue_.top()) {
      take_best(level);
    }
  }
  std::vector<Output> outputs;
  for (const auto& sum : sums_) outputs.push_back(add_up(sum));
  return outputs;
}

void Elimination::fill() {
  places_.resize(problem_.inputs);
  taken_.resize(problem_.inputs, PlaceSet(problem_.outputs, layout_.bits()));
  sums_.resize(problem_.outputs);
  loads_.assign(problem_.outputs, 0);
  counts_.resize(std::size_t{1} << layout_.bits());
  counted_.resize(counts_.size() + 1);
  waiting_.assign(problem_.inputs, Queue::LEVELS - 1);
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
          taken_[i].insert(place_of(o, local));
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
  const double score = static_cast<double>(count - 1) * cost * (1 + 0.2 * depth);
  if (seed_ == 0) return score;
  const std::uint64_t nodes =
      static_cast<std::uint64_t>(pair.a) << 32 | static_cast<std::uint64_t>(pair.b);
  const auto way = static_cast<std::uint64_t>(pair.way);
  return score * (1 + DISTURBANCE * fraction(nodes ^ mix(way ^ mix(seed_))));
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

/// Queues the pairs of inputs down to the level of the round.
void Elimination::count_inputs() {
  for (std::int32_t a = 0; a < problem_.inputs; ++a) {
    if (waiting_[a] < floor_) continue;
    waiting_[a] = -1;
    for (std::int32_t b = a; b < problem_.inputs; ++b) {
      control_.check();
      for (const Local index : count_between(a, b)) {
        const std::int32_t count = std::exchange(counts_[index], 0);
        if (count < 2) continue;
        const Pair pair = pair_of(a, b, layout_.way_at(index));
        push(Queue::level(score(pair, count)), pair);
      }
    }
  }
}

/// Queues a pair, which may have to wait for its round.
void Elimination::push(int level, const Pair& pair) {
  if (level >= floor_) {
    queue_.push(level, pair);
    return;
  }
  // Inputs are counted with later ones, others with earlier ones.
  const std::int32_t latest = std::max(pair.a, pair.b);
  int& waiting = waiting_[latest < problem_.inputs ? pair.a : latest];
  waiting = std::max(waiting, level);
}

/// Counts in which ways two inputs occur; these ways.
std::span<const Local> Elimination::count_between(std::int32_t a, std::int32_t b) {
  const auto& left = places_[a];
  const auto& right = places_[b];
  std::size_t counted = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const std::int32_t output = output_of(left[i]);
    while (start < right.size() && output_of(right[start]) < output) ++start;
    for (std::size_t k = start; k < right.size(); ++k) {
      if (output_of(right[k]) != output) break;
      if (a == b && k <= i) continue;
      const Local index = layout_.index(local_of(left[i]), local_of(right[k]));
      counted_[counted] = index;
      counted += ++counts_[index] == 1 ? 1 : 0;
    }
  }
  return {counted_.data(), counted};
}

/// Where a pair occurs, without overlaps, and without sums that would get too deep.
void Elimination::find(const Pair& pair) {
  found_.clear();
  // Most nodes occur in a few sums, inputs in all: look up what the rarer one has.
  if (places_[pair.a].size() <= places_[pair.b].size()) {
    look_up(places_[pair.a], pair.b, pair.way, [&](Place place, Place) {
      take(pair, place);
    });
  } else {
    look_up(places_[pair.b], pair.a, back(pair.way), [&](Place, Place place) {
      take(pair, place);
    });
  }
  if (problem_.max_depth >= 0) drop_too_deep(pair);
}

/// Calls `visit` with those of the places that are one of the node's when moved, and
/// where that is.
template <typename Visit>
void Elimination::look_up(const std::vector<Place>& places, std::int32_t node, Move way,
                          Visit visit) const {
  if (node < problem_.inputs) {
    const PlaceSet& taken = taken_[node];
    for (const Place place : places) {
      const Place other = moved(place, way);
      if (taken.contains(other)) visit(place, other);
    }
    return;
  }
  auto from = places_[node].begin();
  const auto end = places_[node].end();
  for (const Place place : places) {
    const Place other = moved(place, way);
    from = seek(from, end, other);
    if (from == end) break;
    if (*from == other) visit(place, other);
  }
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
    // Some were taken by others; it gets its turn again.
    push(now, pair);
    return;
  }
  control_.check();
  replace(pair);
  count(builder_.size() - 1);
}

void Elimination::replace(const Pair& pair) {
  const std::int32_t node = builder_.push(make(pair.a, pair.b, pair.way));
  places_.emplace_back();
  waiting_.push_back(Queue::LEVELS - 1);
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
  steps_.push_back({pair.a, pair.b, pair.way, std::move(found_)});
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
      if (node < problem_.inputs) taken_[node].erase(places[i]);
      ++next;
    } else {
      places[kept++] = places[i];
    }
  }
  places.resize(kept);
}

/// Queues the pairs of a node with older ones, those that occur twice: no pair ever
/// becomes more frequent.
void Elimination::count(std::int32_t node) {
  waiting_[node] = -1;
  if (places_[node].size() < 2) return;
  std::size_t terms = 0;
  for (const Place place : places_[node]) terms += sums_[output_of(place)].size();
  // Most pairs occur once: their hashes leave them out, but for a few in `repeated_`.
  const auto hash_bits = static_cast<int>(std::bit_width(32 * terms));
  const auto hash = [=](std::uint64_t key) {
    return key * 0x9E3779B97F4A7C15ull >> (64 - hash_bits);
  };
  once_.assign((std::size_t{1} << hash_bits) / 64 + 1, 0);
  if (repeated_.size() <= terms) repeated_.resize(2 * terms + 1);
  std::size_t repeated = 0;
  visit_pairs(node, [&](std::uint64_t key) {
    std::uint64_t& word = once_[hash(key) / 64];
    const std::uint64_t bit = std::uint64_t{1} << (hash(key) % 64);
    repeated_[repeated] = key;
    repeated += (word & bit) != 0 ? 1 : 0;
    word |= bit;
  });
  const std::size_t size = std::bit_ceil(2 * repeated + 1);
  slots_.assign(size, Slot{});
  twice_.clear();
  for (std::size_t i = 0; i < repeated; ++i) {
    const std::uint64_t key = repeated_[i];
    std::size_t index = hash(key) & (size - 1);
    while (slots_[index].count != 0 && slots_[index].key != key) {
      index = (index + 1) & (size - 1);
    }
    slots_[index].key = key;
    if (++slots_[index].count == 1) twice_.push_back(index);
  }
  for (const std::size_t index : twice_) {
    const auto [key, count] = slots_[index];
    const auto other = static_cast<std::int32_t>(key >> 32);
    const Pair pair = pair_of(node, other, layout_.way_at(static_cast<Local>(key)));
    push(Queue::level(score(pair, count + 1)), pair);
  }
}

/// Calls `visit` with other node and way, in one number, for each pair of a node with
/// an older one, or with itself.
template <typename Visit>
void Elimination::visit_pairs(std::int32_t node, Visit visit) const {
  for (const Place place : places_[node]) {
    for (const Term& term : sums_[output_of(place)]) {
      if (term.node > node) continue;
      if (term.node == node && term.local <= local_of(place)) continue;
      visit((static_cast<std::uint64_t>(term.node) << 32) |
            layout_.index(local_of(place), term.local));
    }
  }
}

/// What the load of a sum grows by if two of its terms are added first.
double Elimination::load_of_pair(std::int32_t a, std::int32_t b) const {
  const int left = builder_[a].depth;
  const int right = builder_[b].depth;
  return load(std::max(left, right) + 1) - load(left) - load(right);
}

/// Adds the terms of an output, in a sum as shallow as it can be if no depth is given.
Output Elimination::add_up(const std::vector<Term>& terms) {
  control_.check();
  if (terms.empty()) return {};
  std::vector<Addend> addends;
  double total = 0;
  for (const Term& term : terms) {
    addends.push_back(addend(term));
    total += addends.back().load;
  }
  int limit = problem_.max_depth;
  if (limit < 0) limit = static_cast<int>(std::ceil(std::log2(total)));
  const auto is_higher = [](const Addend& a, const Addend& b) {
    return std::make_tuple(-a.low, a.term.node, a.term.local) <
           std::make_tuple(-b.low, b.term.node, b.term.local);
  };
  std::sort(addends.begin(), addends.end(), is_higher);
  while (addends.size() > 2) {
    const auto [first, second] = next_to_add(addends, load(limit) - total);
    const Addend a = addends[first];
    const Addend b = addends[second];
    const Move move = way(a.term.local, b.term.local);
    const Addend sum = addend({builder_.push(make(a.term.node, b.term.node, move)),
                               local_of_sum(a.term.local, b.term.local)});
    total += sum.load - a.load - b.load;
    addends.erase(addends.begin() + second);
    addends.erase(addends.begin() + first);
    addends.insert(std::lower_bound(addends.begin(), addends.end(), sum, is_higher), sum);
    advance(1);
  }
  Output output;
  for (const Addend& last : addends) {
    const Local local = last.term.local;
    output = builder_.join(output, {last.term.node, last.low, is_negative(local),
                                    layout_.tap(local)});
  }
  advance(std::ssize(addends));
  return output;
}

Elimination::Addend Elimination::addend(const Term& term) const {
  const Node& node = builder_[term.node];
  const int low = layout_.shift(term.local);
  const Interval range = shifted(node.range, low);
  return {term, low, width_of(range), range.hi - range.lo, load(node.depth)};
}

/// Which two to add, the lower index first, of those that the load has room for.
///
/// An adder has as many tables as its sum is narrower than its operands together, plus
/// what the sum has above and between their bits. So the tables of all adders of an
/// output depend on the latter alone; that is kept low.
std::pair<int, int> Elimination::next_to_add(const std::vector<Addend>& addends,
                                             double room) {
  std::pair<int, int> best;
  std::pair<int, int> least;
  for (int k = 1; k < std::min(static_cast<int>(addends.size()), WINDOW); ++k) {
    for (int i = 0; i < k; ++i) {
      const Addend& high = addends[i];
      const Addend& low = addends[k];
      if (2 * std::max(high.load, low.load) - high.load - low.load > room) continue;
      const int above = width_of({0, high.span + low.span}) - std::max(high.top, low.top);
      const int common = std::min(high.top, low.top) - high.low;
      const std::pair now = {above + std::max(-common, 0), std::max(common, 0)};
      if (best.second == 0 || now < least) {
        least = now;
        best = {i, k};
      }
    }
  }
  if (best.second != 0) return best;
  // The two shallowest ones always fit.
  std::vector<int> order(addends.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 2, order.end(), [&](int i, int k) {
    return std::make_pair(addends[i].load, i) < std::make_pair(addends[k].load, k);
  });
  return std::minmax(order[0], order[1]);
}

void Elimination::advance(std::int64_t terms) {
  control_.done.fetch_add(terms, std::memory_order_relaxed);
}

}  // namespace mase

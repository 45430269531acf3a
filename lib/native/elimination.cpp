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

/// Levels that a round spans: down to half of its highest score.
constexpr int ROUND = Queue::STEPS;

/// Weights of an output in a block, half as many in a problem of more than LARGE; and the
/// round from which blocks grow.
constexpr std::int64_t BLOCK = 64;
constexpr std::int64_t LARGE = 1 << 16;
constexpr int GROWTH = 4;

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
  // Steps may be pairs of any inputs.
  fill(begin.empty() ? block_size() : std::max<std::int64_t>(problem_.inputs, 1));
  for (const Step& step : begin) {
    found_ = step.found;
    replace(pair_of(step.a, step.b, step.way));
  }
  // Pairs come in by rounds: by the time of the rare ones, few terms are left. The first
  // round only looks how high it has to start.
  for (int round = 0; !waiting_.empty(); ++round) {
    const int highest = *std::max_element(waiting_.begin(), waiting_.end());
    if (highest < 0 && blocks_ == 1) break;
    floor_ = std::max(highest - ROUND, 0);
    if (blocks_ > 1 && (highest < 0 || round >= GROWTH)) {
      merge_blocks();
      waiting_.assign(waiting_.size(), floor_);
    }
    for (std::int32_t node = 0; node < builder_.size(); ++node) {
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

/// Inputs of a block.
std::int64_t Elimination::block_size() const {
  const std::int64_t weights = std::ssize(problem_.weights) > LARGE ? BLOCK / 2 : BLOCK;
  const std::int64_t taps = std::max<std::int64_t>(problem_.taps(), 1);
  return std::max<std::int64_t>(weights / taps, 1);
}

/// The terms of the weights, in blocks of so many inputs.
void Elimination::fill(std::int64_t block_size) {
  taken_.resize(problem_.inputs, PlaceSet(problem_.outputs, layout_.bits()));
  blocks_ = std::max<std::int64_t>((problem_.inputs + block_size - 1) / block_size, 1);
  sums_.resize(problem_.outputs * blocks_);
  loads_.assign(problem_.outputs, 0);
  for (std::int32_t i = 0; i < problem_.inputs; ++i) add_node(i, i / block_size);
  // At most: an adder takes the place of several terms.
  std::uint64_t nodes = problem_.inputs;
  for (std::int32_t o = 0; o < problem_.outputs; ++o) {
    for (std::int32_t i = 0; i < problem_.inputs; ++i) {
      const std::int64_t* kernel = problem_.kernel(i, o);
      for (std::int32_t t = 0; t < problem_.taps(); ++t) {
        const auto width = static_cast<std::int32_t>(problem_.width);
        for (const Digit digit : digits_of(kernel[t])) {
          const Local local =
              layout_.local({t / width, t % width}, digit.shift, digit.sign < 0);
          sum_of(o, i).push_back({i, local});
          places_[i].push_back(place_of(o, local));
          taken_[i].insert(place_of(o, local));
          loads_[o] += load(builder_[i].depth);
          ++nodes;
        }
      }
    }
  }
  counter_ = Counter(nodes << layout_.bits());
}

/// What is kept for each node.
void Elimination::add_node(std::int32_t node, std::int64_t block) {
  places_.emplace_back();
  block_of_.push_back(block);
  sizes_.push_back({width_of(builder_[node].range), builder_[node].depth});
  waiting_.push_back(Queue::LEVELS - 1);
}

/// Makes one block of each two.
void Elimination::merge_blocks() {
  const auto is_before = [](const Term& a, const Term& b) { return a.node < b.node; };
  const std::int64_t left = (blocks_ + 1) / 2;
  for (std::int64_t o = 0; o < problem_.outputs; ++o) {
    for (std::int64_t block = 0; block < left; ++block) {
      // What is written here was read before.
      Terms terms = std::move(sums_[o * blocks_ + 2 * block]);
      if (2 * block + 1 < blocks_) {
        const Terms other = std::move(sums_[o * blocks_ + 2 * block + 1]);
        const auto middle = std::ssize(terms);
        terms.insert(terms.end(), other.begin(), other.end());
        std::inplace_merge(terms.begin(), terms.begin() + middle, terms.end(), is_before);
      }
      sums_[o * left + block] = std::move(terms);
    }
  }
  sums_.resize(problem_.outputs * left);
  blocks_ = left;
  for (std::int64_t& block : block_of_) block /= 2;
}

/// The tables that a pair saves, a little more for pairs of pairs: on random matrices,
/// that leads to fewer of them in the end.
double Elimination::score(const Pair& pair, std::int64_t count) const {
  const int depth = std::max(sizes_[pair.a].depth, sizes_[pair.b].depth) + 1;
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
  const double cost = adder_cost(sizes_[a].width, sizes_[b].width, std::max(-shift, 0),
                                 std::max(shift, 0));
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

/// Queues a pair, which may have to wait for its round.
void Elimination::push(int level, const Pair& pair) {
  if (level >= floor_) {
    queue_.push(level, pair);
    return;
  }
  // Nodes are counted with earlier ones.
  int& waiting = waiting_[std::max(pair.a, pair.b)];
  waiting = std::max(waiting, level);
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
  add_node(node, block_of_[pair.a]);
  const double more = load_of_pair(pair.a, pair.b);
  for (const Place place : found_) {
    const std::int32_t output = output_of(place);
    const Local a = local_of(place);
    const Local b = local_of(moved(place, pair.way));
    remove_term(output, pair.a, a);
    remove_term(output, pair.b, b);
    const Local local = local_of_sum(a, b);
    sum_of(output, node).push_back({node, local});
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
  auto& sum = sum_of(output, node);
  auto term = from_node(sum, node);
  while (term->local != local) ++term;
  sum.erase(term);
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

/// Queues the pairs of a node with older ones of its block, and with itself, those that
/// occur twice: no pair ever becomes more frequent.
void Elimination::count(std::int32_t node) {
  waiting_[node] = -1;
  const auto& places = places_[node];
  if (places.size() < 2) return;
  std::size_t terms = 0;
  for (const Place place : places) terms += sum_of(output_of(place), node).size();
  counter_.start(terms);
  // Other node and way in one number.
  const Layout layout = layout_;
  const int bits = layout.bits();
  const auto low = static_cast<std::int32_t>(counter_.low() >> bits);
  for (const Place place : places) {
    const auto& sum = sum_of(output_of(place), node);
    const Local local = local_of(place);
    const auto key = [=](const Term& term) {
      return static_cast<std::uint64_t>(term.node) << bits |
             layout.index(local, term.local);
    };
    const auto own = from_node(sum, node);
    const auto high = node <= low ? own : from_node(sum, low);
    counter_.add_low(sum.begin(), high, key);
    counter_.add(high, own, key);
    for (auto term = own; term < sum.end() && term->node == node; ++term) {
      if (term->local > local) counter_.add(term, term + 1, key);
    }
  }
  counter_.visit([&](std::uint64_t key, std::int64_t count) {
    const std::uint64_t way = key & ((std::uint64_t{1} << bits) - 1);
    const Pair pair =
        pair_of(node, static_cast<std::int32_t>(key >> bits), layout.way_at(way));
    push(Queue::level(score(pair, count)), pair);
  });
}

/// The first term of a node or a later one.
Elimination::Terms::const_iterator Elimination::from_node(const Terms& sum,
                                                          std::int32_t node) {
  return std::lower_bound(sum.begin(), sum.end(), node,
                          [](const Term& term, std::int32_t first) {
                            return term.node < first;
                          });
}

Elimination::Terms& Elimination::sum_of(std::int32_t output, std::int32_t node) {
  return sums_[output * blocks_ + block_of_[node]];
}

/// What the load of a sum grows by if two of its terms are added first.
double Elimination::load_of_pair(std::int32_t a, std::int32_t b) const {
  const int left = builder_[a].depth;
  const int right = builder_[b].depth;
  return load(std::max(left, right) + 1) - load(left) - load(right);
}

/// Adds the terms of an output, in a sum as shallow as it can be if no depth is given.
Output Elimination::add_up(const Terms& terms) {
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
/// That with the shortest adder, from the higher low end to the top of the sum; of equal
/// ones, that with the fewest bits of the sum above and between those of its operands.
std::pair<int, int> Elimination::next_to_add(const std::vector<Addend>& addends,
                                             double room) {
  std::pair<int, int> best;
  std::pair<int, int> least;
  for (int k = 1; k < std::min(static_cast<int>(addends.size()), WINDOW); ++k) {
    for (int i = 0; i < k; ++i) {
      const Addend& high = addends[i];
      const Addend& low = addends[k];
      if (2 * std::max(high.load, low.load) - high.load - low.load > room) continue;
      const int top = width_of({0, high.span + low.span});
      const int above = top - std::max(high.top, low.top);
      const int between = std::max(high.low - std::min(high.top, low.top), 0);
      const std::pair now = {top - high.low, above + between};
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

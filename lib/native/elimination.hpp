// Two-term common subexpression elimination.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "adder_graph.hpp"
#include "builder.hpp"
#include "counter.hpp"
#include "place.hpp"
#include "queue.hpp"

namespace mase {

/// A pair that became a node, and the places of its a.
struct Step {
  std::int32_t a;
  std::int32_t b;
  Move way;
  std::vector<Place> found;
};

class Elimination {
 public:
  /// Builds the problem's outputs with `builder`, which holds its inputs. A seed other
  /// than 0 disturbs the scores.
  Elimination(const Problem& problem, Builder& builder, Control& control,
              std::uint64_t seed = 0);

  /// Begins with some of the steps that another run took.
  std::vector<Output> run(const std::vector<Step>& begin = {});

  /// How the nodes behind the inputs came about, but for those that add up outputs.
  std::vector<Step>& steps() { return steps_; }

 private:
  struct Term {
    std::int32_t node;
    Local local;
  };
  /// Bits of a node, and adders before it.
  struct Size {
    int width;
    int depth;
  };
  /// A term of an output while it is added up: its bits from `low` below `top`, its
  /// highest number less its lowest one, and what it takes of the 2^depth of the sum.
  struct Addend {
    Term term;
    int low;
    int top;
    Wide span;
    double load;
  };

  using Terms = std::vector<Term>;

  std::int64_t block_size() const;
  void fill(std::int64_t block_size);
  void add_node(std::int32_t node, std::int64_t block);
  void merge_blocks();
  double score(const Pair& pair, std::int64_t count) const;
  Pair pair_of(std::int32_t a, std::int32_t b, Move way) const;
  Node make(std::int32_t a, std::int32_t b, Move way) const;
  Local local_of_sum(Local a, Local b) const;
  void push(int level, const Pair& pair);
  void count(std::int32_t node);
  static Terms::const_iterator from_node(const Terms& sum, std::int32_t node);
  Terms& sum_of(std::int32_t output, std::int32_t node);
  void take_best(int level);
  void find(const Pair& pair);
  template <typename Visit>
  void look_up(const std::vector<Place>& places, std::int32_t node, Move way,
               Visit visit) const;
  void take(const Pair& pair, Place place);
  bool is_used(Place place, const Pair& pair) const;
  void drop_too_deep(const Pair& pair);
  void replace(const Pair& pair);
  void remove_term(std::int32_t output, std::int32_t node, Local local);
  void remove_places(std::int32_t node, Move way);
  double load_of_pair(std::int32_t a, std::int32_t b) const;
  Output add_up(const Terms& terms);
  Addend addend(const Term& term) const;
  static std::pair<int, int> next_to_add(const std::vector<Addend>& addends,
                                         double room);
  void advance(std::int64_t terms);

  const Problem& problem_;
  Builder& builder_;
  Control& control_;
  std::uint64_t seed_;
  Layout layout_;
  std::vector<Step> steps_;
  /// At first, only terms of inputs in the same block make pairs: of the pairs that
  /// occur often, a block has enough.
  std::int64_t blocks_ = 1;
  /// The block of each node.
  std::vector<std::int64_t> block_of_;
  /// The terms of each output in each block, by node.
  std::vector<Terms> sums_;
  /// What the score of a pair needs of each node.
  std::vector<Size> sizes_;
  /// Where each node is a term, sorted.
  std::vector<std::vector<Place>> places_;
  /// The same for inputs, which occur in most sums.
  std::vector<PlaceSet> taken_;
  /// What the terms of each output take of the 2^max_depth that they may.
  std::vector<double> loads_;
  Queue queue_;
  /// The lowest level of a round.
  int floor_ = 0;
  /// Where the pair at hand occurs: the places of its a.
  std::vector<Place> found_;
  /// The highest level of a pair of each node that waits for a later round.
  std::vector<int> waiting_;
  Counter counter_;
};

}  // namespace mase

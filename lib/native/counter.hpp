// Which keys come more than once, and how often.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace mase {

/// Low keys have places of their own in a table, which stays in a cache. Others mostly
/// come once: a set of hashes leaves most of those out before the rest is counted.
class Counter {
 public:
  /// For keys below `end`.
  explicit Counter(std::uint64_t end = 0) : counts_(std::min(end, MOST_COUNTS)) {}

  /// Below it, keys are low.
  std::uint64_t low() const { return counts_.size(); }

  /// Starts anew, for up to `most` keys.
  void start(std::size_t most) {
    // Counts go on above those of before: the table need not be cleared each time.
    base_ += highest_;
    if (base_ > UINT32_MAX - most) {
      std::fill(counts_.begin(), counts_.end(), 0);
      base_ = 0;
    }
    highest_ = 0;
    hash_bits_ = static_cast<int>(std::bit_width(32 * most));
    once_.assign((std::size_t{1} << hash_bits_) / 64 + 1, 0);
    reserve(twice_, most);
    reserve(repeated_, most);
    twice_size_ = repeated_size_ = 0;
  }

  /// Adds the keys of what is from `first` to `last`, all of which are low.
  template <typename Iterator, typename Key>
  void add_low(Iterator first, Iterator last, Key key) {
    // Members would be read and written again for each key.
    const std::uint32_t base = base_;
    std::uint32_t* const counts = counts_.data();
    std::uint64_t* twice = twice_.data() + twice_size_;
    for (; first != last; ++first) {
      const std::uint64_t now = key(*first);
      const std::uint32_t count = std::max(counts[now], base) + 1;
      counts[now] = count;
      *twice = now;
      twice += count == base + 2 ? 1 : 0;
    }
    twice_size_ = twice - twice_.data();
  }

  /// Adds the keys of what is from `first` to `last`.
  template <typename Iterator, typename Key>
  void add(Iterator first, Iterator last, Key key) {
    const int hash_bits = hash_bits_;
    std::uint64_t* const once = once_.data();
    std::uint64_t* repeated = repeated_.data() + repeated_size_;
    for (; first != last; ++first) {
      const std::uint64_t now = key(*first);
      const std::uint64_t bit = hash(now, hash_bits);
      *repeated = now;
      repeated += once[bit / 64] >> (bit % 64) & 1;
      once[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
    repeated_size_ = repeated - repeated_.data();
  }

  /// Calls `visit` with each key that came twice, and how often it came. A few keys are
  /// visited that came once.
  template <typename Visit>
  void visit(Visit visit) {
    for (std::size_t i = 0; i < twice_size_; ++i) {
      const std::uint32_t count = counts_[twice_[i]] - base_;
      highest_ = std::max(highest_, count);
      visit(twice_[i], count);
    }
    highest_ = std::max(highest_, 1u);
    const std::size_t size = std::bit_ceil(2 * repeated_size_ + 1);
    slots_.assign(size, Slot{});
    used_.clear();
    for (std::size_t i = 0; i < repeated_size_; ++i) {
      const std::uint64_t key = repeated_[i];
      std::size_t index = hash(key, hash_bits_) & (size - 1);
      while (slots_[index].count != 0 && slots_[index].key != key) {
        index = (index + 1) & (size - 1);
      }
      slots_[index].key = key;
      if (++slots_[index].count == 1) used_.push_back(index);
    }
    for (const std::size_t index : used_) {
      visit(slots_[index].key, slots_[index].count + 1);
    }
  }

 private:
  static constexpr std::uint64_t MOST_COUNTS = std::uint64_t{1} << 17;

  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t count = 0;
  };

  /// Room for a number behind `most` others.
  static void reserve(std::vector<std::uint64_t>& keys, std::size_t most) {
    if (keys.size() <= most) keys.resize(2 * most + 1);
  }

  static std::uint64_t hash(std::uint64_t key, int bits) {
    return key * 0x9E3779B97F4A7C15ull >> (64 - bits);
  }

  /// Counts of low keys, above `base_`, and the highest of them.
  std::vector<std::uint32_t> counts_;
  std::uint32_t base_ = 0;
  std::uint32_t highest_ = 0;
  /// Low keys that came twice.
  std::vector<std::uint64_t> twice_;
  std::size_t twice_size_ = 0;
  /// Hashes of the others, and keys whose hash was there before.
  std::vector<std::uint64_t> once_;
  int hash_bits_ = 1;
  std::vector<std::uint64_t> repeated_;
  std::size_t repeated_size_ = 0;
  /// A hash table that counts the latter, and where they are.
  std::vector<Slot> slots_;
  std::vector<std::size_t> used_;
};

}  // namespace mase

// Where values are terms of sums.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "adder_graph.hpp"

namespace mase {

/// Output, tap, shift and sign of a term in one number, sorted in this order: the output
/// in the upper half, from 1 on so that nothing moves below 0, the others in the lower
/// one.
using Place = std::uint64_t;

/// The lower half of a place.
using Local = std::uint32_t;

/// The way from one place to another in the same sum: the difference of taps and shifts
/// above a bit that says whether the signs differ.
///
/// Adding it to a place moves all fields at once. Each field is at least twice as wide
/// as its numbers, so that different ways are different numbers: a place that a field
/// was carried out of is none where a term can be.
using Move = std::int32_t;

inline Place place_of(std::int32_t output, Local local) {
  return (static_cast<Place>(output + 1) << 32) | local;
}

inline std::int32_t output_of(Place place) {
  return static_cast<std::int32_t>(place >> 32) - 1;
}

inline Local local_of(Place place) { return static_cast<Local>(place); }

inline bool is_negative(Place place) { return (place & 1) != 0; }

inline bool flips(Move move) { return (move & 1) != 0; }

inline Move way(Local from, Local to) {
  const auto distance = static_cast<Move>((to & ~1u) - (from & ~1u));
  return distance | static_cast<Move>((to ^ from) & 1);
}

inline Move back(Move move) { return -(move & ~1) | (move & 1); }

inline Place moved(Place place, Move move) {
  return (place + static_cast<Place>(static_cast<std::int64_t>(move & ~1))) ^
         static_cast<Place>(move & 1);
}

/// Widths of the fields.
class Layout {
 public:
  Layout(std::int64_t height, std::int64_t width, int max_shift)
      : shift_bits_(bits_for(max_shift)),
        x_bits_(bits_for(width - 1)),
        y_bits_(bits_for(height - 1)),
        center_(local({half(y_bits_), half(x_bits_)}, half(shift_bits_), false)) {
    if (x_bits_ + y_bits_ > TAP_BITS) {
      throw std::invalid_argument("a kernel has " + std::to_string(height) + "x" +
                                  std::to_string(width) +
                                  " taps, expected up to 128x128");
    }
  }

  /// Bits of a way, at most 24.
  int bits() const { return y_bits_ + x_bits_ + shift_bits_ + 1; }

  Local local(Tap tap, int shift, bool negative) const {
    return static_cast<Local>(
        (((((tap.y << x_bits_) + tap.x) << shift_bits_) + shift) << 1) |
        (negative ? 1 : 0));
  }

  int shift(Local local) const { return field(local >> 1, shift_bits_); }

  Tap tap(Local local) const {
    return {static_cast<int>(local >> (x_bits_ + shift_bits_ + 1)),
            field(local >> (shift_bits_ + 1), x_bits_)};
  }

  int shift_by(Move move) const {
    return shift(centered(move)) - half(shift_bits_);
  }

  Tap tap_by(Move move) const {
    return tap(centered(move)) - Tap{half(y_bits_), half(x_bits_)};
  }

  /// A way as an index below 2^bits.
  Local index(Local from, Local to) const {
    return ((to & ~1u) - (from & ~1u) + center_) | ((to ^ from) & 1);
  }

  Move way_at(std::size_t index) const {
    return static_cast<Move>(index) - static_cast<Move>(center_);
  }

 private:
  static constexpr int TAP_BITS = 16;

  /// Of numbers from 0 to `most`, and of their differences.
  static int bits_for(std::int64_t most) {
    const auto highest = static_cast<std::uint64_t>(std::max<std::int64_t>(most, 0));
    return static_cast<int>(std::bit_width(2 * highest));
  }

  static int half(int bits) { return (1 << bits) / 2; }

  static int field(Local value, int bits) {
    return static_cast<int>(value & ((Local{1} << bits) - 1));
  }

  Local centered(Move move) const { return static_cast<Local>(move) + center_; }

  int shift_bits_;
  int x_bits_;
  int y_bits_;
  /// The index of no way at all: all fields in the middle.
  Local center_;
};

/// A set of places, a bit for each that there may be.
class PlaceSet {
 public:
  PlaceSet(std::int64_t outputs, int local_bits)
      : bits_(local_bits), words_((((outputs + 1) << local_bits) + 63) / 64) {}

  bool contains(Place place) const {
    // Places that a field was carried out of may be beyond the end.
    if (local_of(place) >> bits_ != 0) return false;
    return (words_[index(place) / 64] >> (index(place) % 64) & 1) != 0;
  }

  void insert(Place place) { words_[index(place) / 64] |= bit(place); }
  void erase(Place place) { words_[index(place) / 64] &= ~bit(place); }

 private:
  std::size_t index(Place place) const {
    return (place >> 32 << bits_) + local_of(place);
  }

  std::uint64_t bit(Place place) const {
    return std::uint64_t{1} << (index(place) % 64);
  }

  int bits_;
  std::vector<std::uint64_t> words_;
};

}  // namespace mase

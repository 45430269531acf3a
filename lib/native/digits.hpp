// Canonical signed digits: few, and never two neighbours (Reitwiesner, 1960).
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace mase {

/// sign · 2^shift
struct Digit {
  int shift;
  int sign;
};

inline std::vector<Digit> digits_of(std::int64_t weight) {
  std::vector<Digit> digits;
  __int128 rest = weight;
  for (int shift = 0; rest != 0; ++shift, rest /= 2) {
    if ((rest & 1) == 0) continue;
    const int digit = 2 - static_cast<int>(rest & 3);
    digits.push_back({shift, digit});
    rest -= digit;
  }
  return digits;
}

/// The digits of w are where 3w and w differ.
inline int digit_count(std::int64_t weight) {
  const auto bits = static_cast<std::uint64_t>(weight);
  const auto w = static_cast<unsigned __int128>(weight < 0 ? 0 - bits : bits);
  const unsigned __int128 digits = (3 * w) ^ w;
  return std::popcount(static_cast<std::uint64_t>(digits)) +
         std::popcount(static_cast<std::uint64_t>(digits >> 64));
}

}  // namespace mase

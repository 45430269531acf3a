// Numbers that look random, and are the same everywhere.
#pragma once

#include <cstdint>

namespace mase {

/// Any number as one that looks random (Steele et al., 2014).
inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// The same between 0 and 1.
inline double fraction(std::uint64_t x) {
  return static_cast<double>(mix(x) >> 11) * 0x1p-53;
}

}  // namespace mase

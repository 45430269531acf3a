#include "range.hpp"

#include <cstdint>

namespace mase {
namespace {

int bit_length(Wide value) {
  const auto magnitude = static_cast<unsigned __int128>(value < 0 ? ~value : value);
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const auto low = static_cast<std::uint64_t>(magnitude);
  if (high != 0) return 128 - __builtin_clzll(high);
  return low == 0 ? 0 : 64 - __builtin_clzll(low);
}

}  // namespace

int width_of(Interval range) { return bit_length(range.hi - range.lo); }

Interval shifted(Interval range, int shift) {
  return product(static_cast<Wide>(1) << shift, range);
}

Interval sum(Interval a, Interval b, bool subtract) {
  if (subtract) return {a.lo - b.hi, a.hi - b.lo};
  return {a.lo + b.lo, a.hi + b.hi};
}

Interval product(Wide factor, Interval x) {
  if (factor < 0) return {factor * x.hi, factor * x.lo};
  return {factor * x.lo, factor * x.hi};
}

}  // namespace mase

#include "checksum.h"

#include <cstring>

namespace ob {

namespace {

// Independent sums of every eighth word: one would wait for its own last multiplication at every word.
constexpr int kLanes = 8;
constexpr std::size_t kStep = kLanes * sizeof(std::uint64_t);
constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15;  // 2^64 over the golden ratio, odd

// One to one in either argument: a changed word always changes the sum, and later equal words never undo that. The
// rotation brings the high bits down, which a product alone would leave to themselves.
inline std::uint64_t mixed(std::uint64_t sum, std::uint64_t word) {
  const std::uint64_t product = (sum ^ word) * kFactor;
  return product << 29 | product >> 35;
}

inline void add(std::uint64_t (&sums)[kLanes], const unsigned char* at) {
  std::uint64_t words[kLanes];
  std::memcpy(words, at, kStep);
  for (int lane = 0; lane < kLanes; ++lane) sums[lane] = mixed(sums[lane], words[lane]);
}

}  // namespace

std::uint64_t checksum(const void* bytes, std::size_t n) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  std::uint64_t sums[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) sums[lane] = kFactor * static_cast<std::uint64_t>(lane + 1);
  std::size_t left = n;
  for (; left >= kStep; left -= kStep, at += kStep) add(sums, at);
  if (left > 0) {
    unsigned char last[kStep] = {};
    std::memcpy(last, at, left);
    add(sums, last);
  }
  std::uint64_t all = n;
  for (const std::uint64_t sum : sums) all = mixed(all, sum);
  return mixed(all, 0) ^ all >> 32;
}

}  // namespace ob

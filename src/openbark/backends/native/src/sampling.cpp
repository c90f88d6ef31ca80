#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace ob {

namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

int padded(int n) { return (n + kDrawBlock - 1) / kDrawBlock * kDrawBlock; }

}  // namespace

double uniform(std::uint64_t seed, std::int32_t stage, std::int32_t step, std::int32_t row) {
  std::uint32_t word[4] = {static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(row),
                           static_cast<std::uint32_t>(stage), 0};
  auto low = static_cast<std::uint32_t>(seed);
  auto high = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_0 = std::uint64_t{0xD2511F53} * word[0];
    const std::uint64_t product_1 = std::uint64_t{0xCD9E8D57} * word[2];
    word[0] = static_cast<std::uint32_t>(product_1 >> 32) ^ word[1] ^ low;
    word[1] = static_cast<std::uint32_t>(product_1);
    word[2] = static_cast<std::uint32_t>(product_0 >> 32) ^ word[3] ^ high;
    word[3] = static_cast<std::uint32_t>(product_0);
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  const std::uint64_t bits = ((std::uint64_t{word[0]} << 32) | word[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

void Sampler::start(const float* logits, int n, const Sampling& sampling) {
  n_ = n;
  temperature_ = sampling.temperature;
  total_ = 0;
  weights_.clear();
  logits_.assign(static_cast<std::size_t>(padded(n)), kExcluded);
  std::copy(logits, logits + n, logits_.begin());
  greedy_ = -1;
  if (temperature_ == 0.0) {
    greedy_ = static_cast<int>(std::max_element(logits, logits + n) - logits);
  } else {
    filter(sampling);
  }
}

void Sampler::filter(const Sampling& sampling) {
  const auto n = static_cast<std::size_t>(n_);
  if (sampling.top_p < 1.0) {
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    const auto logit = [this](int index) -> double { return logits_[static_cast<std::size_t>(index)]; };
    std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) { return logit(a) > logit(b); });
    shares_.resize(n);
    const double most = logit(order_[0]);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += shares_[i] = std::exp(logit(order_[i]) - most);
    double before = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (i > 0 && before > sampling.top_p) logits_[static_cast<std::size_t>(order_[i])] = kExcluded;
      before += shares_[i] / total;
    }
  }
  const auto k = static_cast<std::size_t>(sampling.top_k);
  if (k > 0 && k < n) {
    ranked_.assign(logits_.begin(), logits_.begin() + n_);
    std::nth_element(ranked_.begin(), ranked_.begin() + static_cast<std::ptrdiff_t>(k - 1), ranked_.end(),
                     std::greater<float>());
    const float threshold = ranked_[k - 1];
    for (float& logit : logits_) {
      if (logit < threshold) logit = kExcluded;
    }
  }
}

int Sampler::draw(const float* logits, int n, const Sampling& sampling, double uniform) {
  start(logits, n, sampling);
  if (greedy_ >= 0) return greedy_;
  const int found = find(uniform);
  return found >= 0 ? found : walk(uniform);
}

int Sampler::draw_slowly(const float* logits, int n, const Sampling& sampling, double uniform) {
  start(logits, n, sampling);
  return greedy_ >= 0 ? greedy_ : walk(uniform);
}

// What rounding may do to a comparison of the walk's and to one of find's together, as a share of the total, u being
// 2^-53. An exponent that counts lies between -745 and 0: subtracting, inverting and multiplying move it by at most
// 3 u 745, and its weight by that share and the exponential's 8 u, w in all. A sum of n numbers above 0, in whatever
// order, adds n u. find compares a sum with a share of another: 2 w + 2 n u + 2 u. The walk divides by a sum, adds up,
// and compares with a share of such a sum: 4 w + 4 n u + 3 u.
double Sampler::margin() const {
  const double weight = 3 * 745 + 8;
  return (6 * weight + 6 * n_ + 8) * 0x1p-53;
}

// The index of the draw, or -1 where rounding could decide, or where a number is not finite.
int Sampler::find(double uniform) {
  most_ = kernels_.largest(logits_.data(), static_cast<int>(logits_.size()));
  const double inverse = 1.0 / temperature_;
  double block[kDrawBlock];
  const std::size_t count = logits_.size() / kDrawBlock;
  sums_.resize(count);
  double total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    total += sums_[i] = kernels_.weigh(logits_.data() + i * kDrawBlock, inverse, most_, block);
  }
  if (!std::isfinite(total) || !std::isfinite(inverse)) return -1;
  total_ = total;
  const double target = uniform * total;
  const double off = margin() * total;
  double below = 0;
  std::size_t at = 0;
  while (at + 1 < count && below + sums_[at] <= target) below += sums_[at++];
  kernels_.weigh(logits_.data() + at * kDrawBlock, inverse, most_, block);
  for (int i = 0; i < kDrawBlock; ++i) {
    const double above = below + block[i];
    if (above > target) {
      const bool sure = below < target - off && above > target + off;
      return sure ? static_cast<int>(at) * kDrawBlock + i : -1;
    }
    below = above;
  }
  return -1;
}

// The rules themselves, with one number after the other.
int Sampler::walk(double uniform) {
  weigh_slowly();
  double last = 0;
  for (const double weight : weights_) last += weight / slow_total_;
  const double target = uniform * last;
  double below = 0;
  int last_possible = 0;
  for (int index = 0; index < n_; ++index) {
    const double weight = weights_[static_cast<std::size_t>(index)];
    if (weight > 0) last_possible = index;
    below += weight / slow_total_;
    if (below > target) return index;
  }
  return last_possible;
}

void Sampler::weigh_slowly() {
  if (!weights_.empty()) return;
  const auto last = logits_.begin() + n_;
  const double most = *std::max_element(logits_.begin(), last);
  weights_.reserve(static_cast<std::size_t>(n_));
  slow_total_ = 0;
  for (auto logit = logits_.begin(); logit != last; ++logit) {
    // Subtracted first: with a tiny temperature all but the largest become -inf, and 0 / temperature stays 0.
    const double weight = std::exp((static_cast<double>(*logit) - most) / temperature_);
    weights_.push_back(weight);
    slow_total_ += weight;
  }
}

double Sampler::probability(int index) {
  if (greedy_ >= 0) return index == greedy_ ? 1.0 : 0.0;
  weigh_slowly();
  return weights_[static_cast<std::size_t>(index)] / slow_total_;
}

bool Sampler::reaches(int index, double least) {
  if (greedy_ < 0 && total_ > 0) {
    const double logit = logits_[static_cast<std::size_t>(index)];
    const double share = std::exp((logit - most_) / temperature_) / total_;
    if (std::fabs(share - least) > margin()) return share > least;
  }
  return probability(index) >= least;
}

}  // namespace ob

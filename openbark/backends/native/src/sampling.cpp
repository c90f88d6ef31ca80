#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace ob {

namespace {

constexpr double kExcluded = -std::numeric_limits<double>::infinity();

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

void Sampler::filter(const Sampling& sampling) {
  const std::size_t n = weights_.size();
  if (sampling.top_p < 1.0) {
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    const auto logit = [this](int index) { return weights_[static_cast<std::size_t>(index)]; };
    std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) { return logit(a) > logit(b); });
    sorted_.resize(n);
    const double most = logit(order_[0]);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += sorted_[i] = std::exp(logit(order_[i]) - most);
    double before = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (i > 0 && before > sampling.top_p) weights_[static_cast<std::size_t>(order_[i])] = kExcluded;
      before += sorted_[i] / total;
    }
  }
  const auto k = static_cast<std::size_t>(sampling.top_k);
  if (k > 0 && k < n) {
    sorted_ = weights_;
    std::nth_element(sorted_.begin(), sorted_.begin() + static_cast<std::ptrdiff_t>(k - 1), sorted_.end(),
                     std::greater<double>());
    const double threshold = sorted_[k - 1];
    for (double& logit : weights_) {
      if (logit < threshold) logit = kExcluded;
    }
  }
}

int Sampler::draw(const float* logits, int n, const Sampling& sampling, double uniform) {
  weights_.assign(logits, logits + n);
  if (sampling.temperature == 0.0) {
    const auto best = std::max_element(weights_.begin(), weights_.end());
    const auto index = static_cast<int>(best - weights_.begin());
    std::fill(weights_.begin(), weights_.end(), 0.0);
    weights_[static_cast<std::size_t>(index)] = 1.0;
    total_ = 1.0;
    return index;
  }
  filter(sampling);
  const double most = *std::max_element(weights_.begin(), weights_.end()) / sampling.temperature;
  total_ = 0;
  for (double& weight : weights_) {
    weight = weight == kExcluded ? 0.0 : std::exp(weight / sampling.temperature - most);
    total_ += weight;
  }
  double last = 0;
  for (const double weight : weights_) last += weight / total_;
  const double target = uniform * last;
  double below = 0;
  int last_possible = 0;
  for (int index = 0; index < n; ++index) {
    const double weight = weights_[static_cast<std::size_t>(index)];
    if (weight > 0) last_possible = index;
    below += weight / total_;
    if (below > target) return index;
  }
  return last_possible;
}

}  // namespace ob

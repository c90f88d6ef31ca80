// From logits to one token: the rules of openbark/stages/sampling.py, filter by filter, in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "interface.h"
#include "sampling_kernels.h"

namespace ob {

using Sampling = ::ob_sampling;

// Philox4x32-10 (Salmon et al., SC 2011) of counter (step, row, stage, 0) as a number in [0, 1) with 53 bits.
double uniform(std::uint64_t seed, std::int32_t stage, std::int32_t step, std::int32_t row);

// Draws from one row of logits at a time; keeps its scratch memory between rows.
//
// The rules walk along the row, exponential by exponential, and stop where the running sum passes the number. A draw
// weighs whole blocks with wide vectors instead, and walks along one of them. Both sums differ from the real ones by
// less than `margin()`, so that both stop at the same token where the number is further than that from either end
// of the token's part; where it is not, the walk of the rules decides (of millions of draws, one).
class Sampler {
 public:
  explicit Sampler(Isa isa) : kernels_(sampling_kernels(isa)) {}

  // Index of the token drawn from logits[0..n) with the given number in [0, 1).
  int draw(const float* logits, int n, const Sampling& sampling, double uniform);
  // The same index, by the walk of the rules alone.
  int draw_slowly(const float* logits, int n, const Sampling& sampling, double uniform);
  // Probability that the last draw gave token `index`, as the rules compute it.
  double probability(int index);
  // Whether that is `least` or more.
  bool reaches(int index, double least);
  // Whether the last draw, or what was asked since, took the walk of the rules.
  bool walked() const { return !weights_.empty(); }

 private:
  void start(const float* logits, int n, const Sampling& sampling);
  void filter(const Sampling& sampling);
  int find(double uniform);
  int walk(double uniform);
  void weigh_slowly();
  double margin() const;

  const SamplingKernels& kernels_;
  int n_ = 0;
  double temperature_ = 0, most_ = 0;  // most_: the largest logit
  int greedy_ = -1;                    // the choice at temperature 0
  std::vector<float> logits_;          // those that a filter excludes, and the rest of the last block, are -inf
  std::vector<double> sums_;           // of each block's weights
  double total_ = 0;                   // of all of them; 0: unknown
  std::vector<double> weights_;        // as the rules compute them; empty until they are needed
  double slow_total_ = 0;
  std::vector<float> ranked_;
  std::vector<double> shares_;
  std::vector<int> order_;
};

}  // namespace ob

// From logits to one token: the rules of openbark/stages/sampling.py, filter by filter, in double precision.
#pragma once

#include <cstdint>
#include <vector>

namespace ob {

// How a stage draws; part of the C interface. temperature 0 is greedy; top_k 0, top_p 1 and min_eos_p
// above 1 switch a rule off.
struct Sampling {
  double temperature, top_p, min_eos_p;
  std::int32_t top_k;
};

// Philox4x32-10 (Salmon et al., SC 2011) of counter (step, row, stage, 0) as a number in [0, 1) with 53 bits.
double uniform(std::uint64_t seed, std::int32_t stage, std::int32_t step, std::int32_t row);

// Draws from one row of logits at a time; keeps its scratch memory between rows.
class Sampler {
 public:
  // Index of the token drawn from logits[0..n) with the given number in [0, 1).
  int draw(const float* logits, int n, const Sampling& sampling, double uniform);
  // Probability that the last draw gave token `index`.
  double probability(int index) const { return weights_[static_cast<std::size_t>(index)] / total_; }

 private:
  void filter(const Sampling& sampling);

  std::vector<double> weights_;  // logits, filtered logits, then exponentials
  std::vector<double> sorted_;
  std::vector<int> order_;
  double total_ = 1;
};

}  // namespace ob

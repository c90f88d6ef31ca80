// The fine stage: one window of codes, one codebook at a time, every position seen by every other.
#pragma once

#include <cstdint>
#include <vector>

#include "sampling.h"
#include "transformer.h"

namespace ob {

class FineSession {
 public:
  // The model and the pool must outlive the session.
  FineSession(ThreadPool& pool, const Model& model);

  // Logits [n - first, n_out] of codebook k at positions first..n of codes [K, n].
  void logits(const std::int64_t* codes, int n, int k, int first, float* out);
  // Draws codebook k at positions first..n into out [n - first] from the first n_tokens head rows; position
  // p takes the noise of row `first_row + p - first`.
  void draw(const std::int64_t* codes, int n, int k, int first, const Sampling& sampling,
            std::uint64_t seed, int stage, int first_row, int n_tokens, std::int64_t* out);

 private:
  // Head rows 0..n_rows for positions first..n, `ldo` apart.
  void compute(const std::int64_t* codes, int n, int k, int first, int n_rows, float* out, int ldo);

  ThreadPool& pool_;
  const Model& model_;
  Cache cache_;
  Workspace workspace_;
  std::vector<float> logits_;
};

}  // namespace ob

// A packed float32 matrix with its bias, applied to rows by the calling thread.
#pragma once

#include <vector>

#include "memory.h"
#include "threads.h"

namespace ob {

class Linear {
 public:
  Linear() = default;
  // Packs weight [n, k] for the pool's kernels; both arrays are copied.
  Linear(ThreadPool& pool, int n, int k, const float* weight, const float* bias);

  int outputs() const { return n_; }
  // c[r] = epilogue(weight a[r] + bias) for `rows` rows, `lda` and `ldc` floats apart. lda may be less
  // than k: the rows of a convolution overlap.
  void apply(const Kernels& kernels, const float* a, std::ptrdiff_t lda, int rows, float* c,
             std::ptrdiff_t ldc, Epilogue epilogue = Epilogue::kStore) const;

 private:
  int n_ = 0, k_ = 0;
  Memory weight_;  // in panels, or plain rows where the outputs are too few for one
  std::vector<float> bias_;
};

}  // namespace ob

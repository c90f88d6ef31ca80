#include "codec_linear.h"

#include <algorithm>
#include <cmath>

#include "gemm.h"

namespace ob {
namespace {

// With fewer outputs a panel is mostly padding, and dot products along k are faster.
constexpr int kFewOutputs = 4;

float apply_epilogue(float sum, Epilogue epilogue, float before) {
  if (epilogue == Epilogue::kAdd) return before + sum;
  return epilogue == Epilogue::kGelu ? 0.5f * sum * (1.0f + std::erf(sum * 0.70710678f)) : sum;
}

}  // namespace

Linear::Linear(ThreadPool& pool, int n, int k, const float* weight, const float* bias)
    : n_(n), k_(k), bias_(bias, bias + n) {
  if (n < kFewOutputs) {
    const std::size_t size = static_cast<std::size_t>(n) * static_cast<std::size_t>(k);
    weight_ = Memory(size * sizeof(float));
    std::copy_n(weight, size, weight_.as<float>());
  } else {
    weight_ = Memory(packed_f32_size(pool.kernels(), n, k) * sizeof(float));
    pack_f32(pool, n, k, weight, k, weight_.as<float>());
  }
}

void Linear::apply(const Kernels& kernels, const float* a, std::ptrdiff_t lda, int rows, float* c,
                   std::ptrdiff_t ldc, Epilogue epilogue) const {
  const float* weight = weight_.as<float>();
  if (n_ >= kFewOutputs) {
    kernels.f32(Product{rows, n_, k_, bias_.data(), epilogue, c, ldc}, a, lda, weight);
    return;
  }
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < n_; ++column) {
      float& out = c[row * ldc + column];
      const float* weights = weight + static_cast<std::ptrdiff_t>(column) * k_;
      const float sum = kernels.dot(a + row * lda, weights, k_);
      out = apply_epilogue(sum + bias_[static_cast<std::size_t>(column)], epilogue, out);
    }
}

}  // namespace ob

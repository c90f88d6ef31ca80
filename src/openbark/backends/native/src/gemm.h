// float32 matrix products, for weights packed ahead of time or handed over as they are.
#pragma once

#include <cstddef>

#include "threads.h"

namespace ob {

// C[m, n] = A[m, k] * B[n, k]^T + bias[n], row-major, bias may be null. B is packed on the way unless m is
// small: weights that are used again are better packed once (`PackedF32`).
void gemm_f32(ThreadPool& pool, int m, int n, int k, const float* a, int lda, const float* b, int ldb,
              const float* bias, float* c, int ldc);

// Floats that B[n, k] takes when packed for these kernels.
std::size_t packed_f32_size(const Kernels& kernels, int n, int k);

// Packs B[n, k] (rows ldb apart) into `panels`.
void pack_f32(ThreadPool& pool, int n, int k, const float* b, int ldb, float* panels);

// As gemm_f32 with B packed; `epilogue` as in Product.
void gemm_f32_packed(ThreadPool& pool, int m, int n, int k, const float* a, int lda, const float* panels,
                     const float* bias, Epilogue epilogue, float* c, int ldc);

}  // namespace ob

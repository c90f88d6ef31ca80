#include "gemm.h"

#include <algorithm>
#include <vector>

#include "tiling.h"

namespace ob {

namespace {

int panels_of(const Kernels& kernels, int n) {
  return (n + kernels.f32_panel - 1) / kernels.f32_panel;
}

void pack_panel(const Kernels& kernels, int panel, int n, int k, const float* b, int ldb, float* out) {
  const int width = kernels.f32_panel;
  const int first = panel * width;
  const int rows = std::min(width, n - first);
  for (int r = 0; r < width; ++r) {
    const float* row = b + static_cast<std::ptrdiff_t>(first + r) * ldb;
    for (int i = 0; i < k; ++i) out[static_cast<std::ptrdiff_t>(i) * width + r] = r < rows ? row[i] : 0.0f;
  }
}

// One dot product per output: B is read once, in its own order.
void gemm_unpacked(ThreadPool& pool, int m, int n, int k, const float* a, int lda, const float* b,
                   int ldb, const float* bias, float* c, int ldc) {
  const Kernels& kernels = pool.kernels();
  constexpr int kRows = 32;
  const auto part = [&](int index, int) {
    const int last = std::min(n, (index + 1) * kRows);
    for (int j = index * kRows; j < last; ++j) {
      const float* row = b + static_cast<std::ptrdiff_t>(j) * ldb;
      for (int i = 0; i < m; ++i) {
        c[static_cast<std::ptrdiff_t>(i) * ldc + j] =
            kernels.dot(a + static_cast<std::ptrdiff_t>(i) * lda, row, k) + (bias ? bias[j] : 0.0f);
      }
    }
  };
  const int count = (n + kRows - 1) / kRows;
  if (static_cast<double>(m) * n * k < kWorthSharing) {
    for (int index = 0; index < count; ++index) part(index, 0);
  } else {
    pool.parallel(count, part);
  }
}

}  // namespace

std::size_t packed_f32_size(const Kernels& kernels, int n, int k) {
  return static_cast<std::size_t>(panels_of(kernels, n)) * kernels.f32_panel * k;
}

void pack_f32(ThreadPool& pool, int n, int k, const float* b, int ldb, float* panels) {
  const Kernels& kernels = pool.kernels();
  const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(kernels.f32_panel) * k;
  pool.parallel(panels_of(kernels, n), [&](int panel, int) {
    pack_panel(kernels, panel, n, k, b, ldb, panels + panel * stride);
  });
}

void gemm_f32_packed(ThreadPool& pool, int m, int n, int k, const float* a, int lda, const float* panels,
                     const float* bias, Epilogue epilogue, float* c, int ldc) {
  const Kernels& kernels = pool.kernels();
  const int width = kernels.f32_panel;
  const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(width) * k;
  const double work = static_cast<double>(m) * n * k;
  const auto panel_bytes = static_cast<std::size_t>(stride) * sizeof(float);
  for_each_tile(pool, m, panels_of(kernels, n), panel_bytes, work, [&](int row, int rows, int panel, int count, int) {
    const int column = panel * width;
    const Product product{rows, std::min(count * width, n - column), k, bias ? bias + column : nullptr,
                          epilogue, c + static_cast<std::ptrdiff_t>(row) * ldc + column, ldc};
    kernels.f32(product, a + static_cast<std::ptrdiff_t>(row) * lda, lda, panels + panel * stride);
  });
}

void gemm_f32(ThreadPool& pool, int m, int n, int k, const float* a, int lda, const float* b, int ldb,
              const float* bias, float* c, int ldc) {
  constexpr int kFewRows = 4;
  if (m <= kFewRows) return gemm_unpacked(pool, m, n, k, a, lda, b, ldb, bias, c, ldc);
  std::vector<float> panels(packed_f32_size(pool.kernels(), n, k));
  pack_f32(pool, n, k, b, ldb, panels.data());
  gemm_f32_packed(pool, m, n, k, a, lda, panels.data(), bias, Epilogue::kStore, c, ldc);
}

}  // namespace ob

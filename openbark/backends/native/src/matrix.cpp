#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "gemm.h"
#include "tiling.h"

namespace ob {

namespace {

constexpr int kPad = kGroup;  // k of integer and bfloat16 weights is padded to whole groups

int padded(int n, int to) { return (n + to - 1) / to * to; }

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::uint16_t to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_bfloat16(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

float largest(const float* row, int n) {
  float most = 0;
  for (int i = 0; i < n; ++i) most = std::max(most, std::fabs(row[i]));
  return most;
}

// Panel layout of integers: [k / 4][row][4], one 32-bit word per row and step.
void pack_int8_row(const Matrix& matrix, int row, const float* values) {
  const int k = matrix.k;
  const int wide = padded(k, kPad);
  auto* panel = static_cast<std::int8_t*>(matrix.weights) +
                static_cast<std::ptrdiff_t>(row / kPanel) * kPanel * wide;
  const float scale = largest(values, k) / 127.0f;
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
  std::int32_t sum = 0;
  for (int i = 0; i < k; ++i) {
    const auto q = static_cast<std::int8_t>(std::lrint(values[i] * inverse));
    panel[static_cast<std::ptrdiff_t>(i / 4) * kPanel * 4 + (row % kPanel) * 4 + i % 4] = q;
    sum += q;
  }
  static_cast<float*>(matrix.scales)[row] = scale;
  matrix.sums[row] = sum;
}

// As int8, but two consecutive words share one: the even step in the low half of each byte, the odd step
// in the high half. Stored as q + 8 in 0..15.
void pack_int4_row(const Matrix& matrix, int row, const float* values) {
  const int k = matrix.k;
  const int groups = padded(k, kPad) / kGroup;
  auto* panel = static_cast<std::uint8_t*>(matrix.weights) +
                static_cast<std::ptrdiff_t>(row / kPanel) * kPanel * groups * (kGroup / 2);
  auto* scales = static_cast<std::uint16_t*>(matrix.scales) +
                 static_cast<std::ptrdiff_t>(row / kPanel) * kPanel * groups;
  for (int g = 0; g < groups; ++g) {
    const int first = g * kGroup;
    const int count = std::min(kGroup, k - first);
    // The value of largest magnitude becomes -8, the one step more on that side.
    float extreme = 0;
    for (int i = 0; i < count; ++i) {
      if (std::fabs(values[first + i]) > std::fabs(extreme)) extreme = values[first + i];
    }
    const std::uint16_t half = to_bfloat16(extreme / -8.0f);
    const float scale = from_bfloat16(half);
    scales[static_cast<std::ptrdiff_t>(g) * kPanel + row % kPanel] = half;
    for (int i = 0; i < kGroup; ++i) {
      const float value = i < count && scale != 0 ? values[first + i] / scale : 0.0f;
      const int q = std::clamp(static_cast<int>(std::lrint(value)) + 8, 0, 15);
      const int step = (first + i) / 4;
      auto& byte = panel[static_cast<std::ptrdiff_t>(step / 2) * kPanel * 4 + (row % kPanel) * 4 + i % 4];
      byte = static_cast<std::uint8_t>(byte | (q << (step % 2 * 4)));
    }
  }
}

void pack_bfloat16_row(const Matrix& matrix, int row, const float* values) {
  const int wide = padded(matrix.k, kPad);
  auto* panel = static_cast<std::uint16_t*>(matrix.weights) +
                static_cast<std::ptrdiff_t>(row / kPanel) * kPanel * wide;
  for (int i = 0; i < matrix.k; ++i) {
    panel[static_cast<std::ptrdiff_t>(i / 2) * kPanel * 2 + (row % kPanel) * 2 + i % 2] =
        to_bfloat16(values[i]);
  }
}

}  // namespace

MatrixBytes matrix_bytes(const Kernels& kernels, Precision precision, int n, int k) {
  const auto rows = static_cast<std::size_t>(padded(n, kPanel));
  const auto wide = static_cast<std::size_t>(padded(k, kPad));
  switch (precision) {
    case Precision::kFloat32:
      return {aligned(packed_f32_size(kernels, n, k) * 4), 0, 0};
    case Precision::kBfloat16:
      return {rows * wide * 2, 0, 0};
    case Precision::kInt8:
      return {rows * wide, rows * 4, rows * 4};
    case Precision::kInt4:
      return {rows * wide / 2, rows * wide / kGroup * 2, 0};
  }
  throw std::invalid_argument("precision");
}

void pack(ThreadPool& pool, const Matrix& matrix, const float* rows) {
  const int k = matrix.k;
  if (matrix.precision == Precision::kFloat32) {
    return pack_f32(pool, matrix.n, k, rows, k, static_cast<float*>(matrix.weights));
  }
  const MatrixBytes bytes = matrix_bytes(pool.kernels(), matrix.precision, matrix.n, k);
  std::memset(matrix.weights, 0, bytes.weights);
  if (bytes.scales > 0) std::memset(matrix.scales, 0, bytes.scales);
  if (bytes.sums > 0) std::memset(matrix.sums, 0, bytes.sums);
  pool.parallel((matrix.n + kPanel - 1) / kPanel, [&](int panel, int) {
    const int last = std::min(matrix.n, (panel + 1) * kPanel);
    for (int row = panel * kPanel; row < last; ++row) {
      const float* values = rows + static_cast<std::ptrdiff_t>(row) * k;
      if (matrix.precision == Precision::kInt8) pack_int8_row(matrix, row, values);
      if (matrix.precision == Precision::kInt4) pack_int4_row(matrix, row, values);
      if (matrix.precision == Precision::kBfloat16) pack_bfloat16_row(matrix, row, values);
    }
  });
}

Matrix rows_from(const Kernels& kernels, const Matrix& matrix, int row) {
  if (row == 0) return matrix;
  const MatrixBytes skipped = matrix_bytes(kernels, matrix.precision, row, matrix.k);
  Matrix rest = matrix;
  rest.n -= row;
  rest.weights = static_cast<std::uint8_t*>(matrix.weights) + skipped.weights;
  if (skipped.scales > 0) rest.scales = static_cast<std::uint8_t*>(matrix.scales) + skipped.scales;
  if (skipped.sums > 0) rest.sums = matrix.sums + row;
  if (matrix.bias != nullptr) rest.bias = matrix.bias + row;
  return rest;
}

Inputs::Inputs(int rows, int k)
    : converted_(static_cast<std::size_t>(rows) * (padded(k, kPad) + kPad) * 2),
      scales_(static_cast<std::size_t>(rows) * 4),
      sums_(static_cast<std::size_t>(rows) * (padded(k, kPad) / kGroup) * 4) {}

namespace {

// Runs body(row) for every row, shared out when there are many.
template <class Body>
void for_each_row(ThreadPool& pool, int rows, Body&& body) {
  constexpr int kRows = 16;
  if (rows <= kRows) {
    for (int row = 0; row < rows; ++row) body(row);
    return;
  }
  pool.parallel((rows + kRows - 1) / kRows, [&](int block, int) {
    const int last = std::min(rows, (block + 1) * kRows);
    for (int row = block * kRows; row < last; ++row) body(row);
  });
}

// Elements from one row of converted inputs to the next: rows of a whole multiple of 4 KiB would fight for
// the same lines of the first-level cache.
std::ptrdiff_t input_stride(const Matrix& matrix) { return padded(matrix.k, kPad) + kPad; }

}  // namespace

int panel_rows(const Kernels& kernels, const Matrix& matrix) {
  return matrix.precision == Precision::kFloat32 ? kernels.f32_panel : kPanel;
}

void Inputs::convert(const Kernels& kernels, const Matrix& matrix, int first, int last, const float* x,
                     std::ptrdiff_t ldx) {
  if (matrix.precision == Precision::kFloat32) return;
  const int wide = padded(matrix.k, kPad);
  const std::ptrdiff_t stride = input_stride(matrix);
  const int groups = wide / kGroup;
  auto* sums = matrix.precision == Precision::kInt4 ? sums_.as<std::int32_t>() : nullptr;
  for (int row = first; row < last; ++row) {
    const float* from = x + row * ldx;
    if (matrix.precision == Precision::kBfloat16) {
      kernels.to_bf16(from, matrix.k, wide, converted_.as<std::uint16_t>() + row * stride);
    } else {
      kernels.quantise(from, matrix.k, wide, converted_.as<std::int8_t>() + row * stride,
                       scales_.as<float>() + row,
                       sums ? sums + static_cast<std::ptrdiff_t>(row) * groups : nullptr);
    }
  }
}

void multiply(const Kernels& kernels, const Matrix& matrix, const Inputs& inputs, const Tile& tile,
              const float* x, std::ptrdiff_t ldx, Finish finish, float* y, std::ptrdiff_t ldy) {
  const bool is_float = matrix.precision == Precision::kFloat32;
  const int wide = is_float ? matrix.k : padded(matrix.k, kPad);
  const std::ptrdiff_t skipped = static_cast<std::ptrdiff_t>(tile.column) * wide;
  const Product product{tile.rows, tile.columns, wide, matrix.bias ? matrix.bias + tile.column : nullptr,
                        finish, y + tile.row * ldy + tile.column, ldy};
  if (is_float) {
    return kernels.f32(product, x + tile.row * ldx, ldx, static_cast<const float*>(matrix.weights) + skipped);
  }
  const std::ptrdiff_t stride = input_stride(matrix);
  const std::ptrdiff_t first = tile.row * stride;
  if (matrix.precision == Precision::kBfloat16) {
    return kernels.bf16(product, inputs.converted_.as<std::uint16_t>() + first, stride,
                        static_cast<const std::uint16_t*>(matrix.weights) + skipped);
  }
  const int groups = wide / kGroup;
  const QuantisedRows a{inputs.converted_.as<std::int8_t>() + first, stride,
                        inputs.scales_.as<float>() + tile.row,
                        inputs.sums_.as<std::int32_t>() + static_cast<std::ptrdiff_t>(tile.row) * groups, groups};
  if (matrix.precision == Precision::kInt8) {
    kernels.int8(product, a, static_cast<const std::int8_t*>(matrix.weights) + skipped,
                 static_cast<const float*>(matrix.scales) + tile.column, matrix.sums + tile.column);
  } else {
    kernels.int4(product, a, static_cast<const std::uint8_t*>(matrix.weights) + skipped / 2,
                 static_cast<const std::uint16_t*>(matrix.scales) + skipped / kGroup);
  }
}

void linear(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx, Finish finish,
            float* y, int ldy, Inputs& inputs) {
  const Kernels& kernels = pool.kernels();
  if (matrix.precision != Precision::kFloat32) {
    for_each_row(pool, m,
                 [&](int row) { inputs.convert(kernels, matrix, row, row + 1, x, ldx); });
  }
  const double work = static_cast<double>(m) * n * matrix.k / (matrix.precision == Precision::kFloat32 ? 1 : 4);
  const int width = panel_rows(kernels, matrix);
  const int panels = (n + width - 1) / width;
  const std::size_t panel_bytes = matrix_bytes(kernels, matrix.precision, width, matrix.k).weights;
  for_each_tile(pool, m, panels, panel_bytes, work, [&](int row, int rows, int panel, int count, int) {
    const int column = panel * width;
    const Tile tile{row, rows, column, std::min(count * width, n - column)};
    multiply(kernels, matrix, inputs, tile, x, ldx, finish, y, ldy);
  });
}

}  // namespace ob

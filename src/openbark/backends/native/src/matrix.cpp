#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "gemm.h"
#include "tiling.h"

namespace ob {

namespace {

// Rows from which on a product with 8-bit weights is faster by more than it takes to make them of 4-bit ones.
constexpr int kWorthWidening = 96;
constexpr int kPad = kGroup;  // k of integer and bfloat16 weights is padded to whole groups

int padded(int n, int to) { return (n + to - 1) / to * to; }

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::uint16_t to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
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
  matrix.scales[row] = scale;
  matrix.sums[row] = sum;
}

// A group's weights in 4 bits, in steps of `step`; returns their squared error.
double round_group(const float* values, int count, float step, std::int8_t* q) {
  double error = 0;
  for (int i = 0; i < count; ++i) {
    const float steps = step != 0 ? values[i] / step : 0.0f;
    q[i] = static_cast<std::int8_t>(std::clamp(static_cast<int>(std::lrint(steps)), -8, 7));
    const double off = static_cast<double>(q[i]) * step - values[i];
    error += off * off;
  }
  return error;
}

// The value of largest magnitude is to become -8, the one step more on that side.
float group_step(const float* values, int count) {
  float extreme = 0;
  for (int i = 0; i < count; ++i) {
    if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  }
  return extreme / -8.0f;
}

// Rounds a group with the whole factors on both sides of the wanted one and keeps the better; returns that factor.
int best_group(const float* values, int count, float wanted, float scale, std::int8_t* q) {
  const int size = std::min(static_cast<int>(std::fabs(wanted)), kMostFactor);
  const int sign = wanted < 0 ? -1 : 1;
  const int larger = std::min(size + 1, kMostFactor);
  std::int8_t other[kGroup] = {};
  const double error = round_group(values, count, static_cast<float>(sign * size) * scale, q);
  if (error <= round_group(values, count, static_cast<float>(sign * larger) * scale, other)) return sign * size;
  std::memcpy(q, other, kGroup);
  return sign * larger;
}

// Two consecutive words of an int8 panel share one: the even step in the low half of each byte, the odd step in the
// high half. Stored as q + 8 in 0..15.
void pack_int4_row(const Matrix& matrix, int row, const float* values) {
  const int k = matrix.k;
  const int groups = padded(k, kPad) / kGroup;
  auto* group = static_cast<std::uint8_t*>(matrix.weights) +
                static_cast<std::ptrdiff_t>(row / kPanel) * groups * kGroupBytes;
  const auto count = [&](int g) { return std::min(kGroup, k - g * kGroup); };
  float most = 0;
  for (int g = 0; g < groups; ++g) most = std::max(most, std::fabs(group_step(values + g * kGroup, count(g))));
  const float scale = most / static_cast<float>(kMostFactor);
  std::int32_t sum = 0;
  for (int g = 0; g < groups; ++g, group += kGroupBytes) {
    const float* own = values + g * kGroup;
    std::int8_t q[kGroup] = {};
    const float wanted = scale > 0 ? group_step(own, count(g)) / scale : 0.0f;
    const int factor = best_group(own, count(g), wanted, scale, q);
    group[factor_at(row % kPanel)] = static_cast<std::uint8_t>(factor);
    for (int i = 0; i < kGroup; ++i) {
      const int step = i / 4;
      auto& byte = group[kPanel + step / 2 * kPanel * 4 + (row % kPanel) * 4 + i % 4];
      byte = static_cast<std::uint8_t>(byte | ((q[i] + 8) << (step % 2 * 4)));
      sum += factor * q[i];
    }
  }
  matrix.scales[row] = scale;
  matrix.sums[row] = sum;
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
      return {rows / kPanel * (wide / kGroup) * kGroupBytes, rows * 4, rows * 4};
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
  if (skipped.scales > 0) rest.scales = matrix.scales + row;
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
              const float* x, std::ptrdiff_t ldx, Epilogue epilogue, float* y, std::ptrdiff_t ldy) {
  const bool is_float = matrix.precision == Precision::kFloat32;
  const int wide = is_float ? matrix.k : padded(matrix.k, kPad);
  const std::ptrdiff_t skipped = static_cast<std::ptrdiff_t>(tile.column) * wide;
  const Product product{tile.rows, tile.columns, wide, matrix.bias ? matrix.bias + tile.column : nullptr,
                        epilogue, y + tile.row * ldy + tile.column, ldy};
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
  const float* scales = matrix.scales + tile.column;
  if (matrix.precision == Precision::kInt8) {
    kernels.int8(product, a, static_cast<const std::int8_t*>(matrix.weights) + skipped, scales,
                 matrix.sums + tile.column);
  } else {
    const std::ptrdiff_t panels = tile.column / kPanel;
    kernels.int4(product, a, static_cast<const std::uint8_t*>(matrix.weights) + panels * groups * kGroupBytes, scales);
  }
}

Matrix for_batch(const Matrix& matrix, int rows) {
  if (matrix.precision != Precision::kInt4 || rows < kWorthWidening) return matrix;
  Matrix made = matrix;
  made.precision = Precision::kInt8;
  made.narrow = static_cast<const std::uint8_t*>(matrix.weights);
  made.weights = nullptr;
  return made;
}

void Inputs::make_room(int workers, std::size_t bytes) {
  pieces_.resize(std::max(pieces_.size(), static_cast<std::size_t>(workers)));
  for (Piece& piece : pieces_) {
    if (piece.memory.size() < bytes) piece = {Memory(bytes), nullptr, 0};
  }
}

Matrix Inputs::widened(const Kernels& kernels, const Matrix& matrix, int first, int count, int worker) {
  const int wide = padded(matrix.k, kPad);
  const std::ptrdiff_t panel_bytes = static_cast<std::ptrdiff_t>(wide) / kGroup * kGroupBytes;
  const std::uint8_t* of = matrix.narrow + first * panel_bytes;
  Piece& piece = pieces_[static_cast<std::size_t>(worker)];
  if (piece.of != of || piece.count != count) {
    auto* to = piece.memory.as<std::int8_t>();
    for (int panel = 0; panel < count; ++panel) {
      kernels.widen(of + panel * panel_bytes, wide, to + static_cast<std::ptrdiff_t>(panel) * kPanel * wide);
    }
    piece.of = of;
    piece.count = count;
  }
  Matrix made = matrix;
  made.weights = piece.memory.as<std::int8_t>();
  made.scales += first * kPanel;
  made.sums += first * kPanel;
  if (made.bias != nullptr) made.bias += first * kPanel;
  return made;
}

void linear(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx, Epilogue epilogue,
            float* y, int ldy, Inputs& inputs) {
  const Matrix weights = for_batch(matrix, m);
  if (weights.precision != Precision::kFloat32) {
    for_each_row(pool, m,
                 [&](int row) { inputs.convert(pool.kernels(), weights, row, row + 1, x, ldx); });
  }
  linear_of_converted(pool, weights, m, n, x, ldx, epilogue, y, ldy, inputs);
}

void linear_of_converted(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx,
                         Epilogue epilogue, float* y, int ldy, Inputs& inputs) {
  const Kernels& kernels = pool.kernels();
  const double work = static_cast<double>(m) * n * matrix.k / (matrix.precision == Precision::kFloat32 ? 1 : 4);
  const int width = panel_rows(kernels, matrix);
  const int panels = (n + width - 1) / width;
  const std::size_t panel_bytes = matrix_bytes(kernels, matrix.precision, width, matrix.k).weights;
  if (matrix.narrow != nullptr) inputs.make_room(pool.size(), std::max(kResident, panel_bytes));
  for_each_tile(pool, m, panels, panel_bytes, work, [&](int row, int rows, int panel, int count, int worker) {
    const int column = panel * width;
    const int columns = std::min(count * width, n - column);
    if (matrix.narrow == nullptr) {
      return multiply(kernels, matrix, inputs, {row, rows, column, columns}, x, ldx, epilogue, y, ldy);
    }
    const Matrix piece = inputs.widened(kernels, matrix, panel, count, worker);
    multiply(kernels, piece, inputs, {row, rows, 0, columns}, x, ldx, epilogue, y + column, ldy);
  });
}

}  // namespace ob

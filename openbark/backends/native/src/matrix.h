// Packed weight matrices of every precision behind one product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"
#include "threads.h"

namespace ob {

// The numbers are part of the C interface and of packed files.
enum class Precision : int { kFloat32 = 0, kBfloat16 = 1, kInt8 = 2, kInt4 = 3 };

// Weights [n, k] of one linear map in packed form; the memory belongs to someone else.
struct Matrix {
  Precision precision = Precision::kFloat32;
  int n = 0;
  int k = 0;
  void* weights = nullptr;
  void* scales = nullptr;      // int8: float [n padded]; int4: bfloat16 [panel][group][row of panel]
  std::int32_t* sums = nullptr;  // int8: sum of each row's weights
  const float* bias = nullptr;
};

// Bytes of the three parts of a packed matrix, each a multiple of 64.
struct MatrixBytes {
  std::size_t weights, scales, sums;
};
MatrixBytes matrix_bytes(const Kernels& kernels, Precision precision, int n, int k);

// Fills the packed parts of `matrix` from float32 rows [n, k].
void pack(ThreadPool& pool, const Matrix& matrix, const float* rows);

// The rows of `matrix` from `row` on, a multiple of kPanel.
Matrix rows_from(const Kernels& kernels, const Matrix& matrix, int row);

// Room for the inputs of a product in the form its precision needs, for up to `rows` rows of up to `k`.
class Inputs {
 public:
  Inputs() = default;
  Inputs(int rows, int k);

 private:
  friend void linear(ThreadPool&, const Matrix&, int, int, const float*, int, Finish, float*, int, Inputs&);
  Memory converted_, scales_, sums_;
};

// y[m, n] = finish(x[m, k] . matrix^T + bias) for the first n rows of the matrix.
void linear(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx, Finish finish,
            float* y, int ldy, Inputs& inputs);

}  // namespace ob

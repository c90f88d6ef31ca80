// Packed weight matrices of every precision behind one product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interface.h"
#include "memory.h"
#include "threads.h"

namespace ob {

enum class Precision : int { kFloat32 = OB_FLOAT32, kBfloat16 = OB_BFLOAT16, kInt8 = OB_INT8, kInt4 = OB_INT4 };

// Weights [n, k] of one linear map in packed form; the memory belongs to the owner of the model.
struct Matrix {
  Precision precision = Precision::kFloat32;
  int n = 0;
  int k = 0;
  void* weights = nullptr;
  float* scales = nullptr;       // int8, int4: of each row
  std::int32_t* sums = nullptr;  // int8, int4: sum of each row's whole numbers
  const float* bias = nullptr;
  // The 4-bit panels of which a product makes the int8 weights piece by piece; else null.
  const std::uint8_t* narrow = nullptr;
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

// Rows of the input and of the matrix; `column` is the first of a panel.
struct Tile {
  int row, rows, column, columns;
};

// Room for the inputs of a product in the form its precision needs, for up to `rows` rows of up to `k`.
class Inputs {
 public:
  Inputs() = default;
  Inputs(int rows, int k);

  // Converts rows first..last of x to what `matrix` multiplies. float32 is multiplied where it is.
  void convert(const Kernels& kernels, const Matrix& matrix, int first, int last, const float* x,
               std::ptrdiff_t ldx);

  // Panels first..first + count of 4-bit weights as an int8 matrix, the same numbers: right until the worker's next.
  Matrix widened(const Kernels& kernels, const Matrix& matrix, int first, int count, int worker);

 private:
  friend void multiply(const Kernels&, const Matrix&, const Inputs&, const Tile&, const float*,
                       std::ptrdiff_t, Epilogue, float*, std::ptrdiff_t);
  friend void linear_of_converted(ThreadPool&, const Matrix&, int, int, const float*, int, Epilogue, float*, int,
                                  Inputs&);
  // What a thread has widened last: it stays in the core's second-level cache while rows pass by.
  struct Piece {
    Memory memory;
    const std::uint8_t* of = nullptr;
    int count = 0;
  };
  void make_room(int workers, std::size_t bytes);

  Memory converted_, scales_, sums_;
  std::vector<Piece> pieces_;
};

// The matrix as `rows` rows are multiplied fastest: for many, 4-bit weights become 8-bit ones on the way.
Matrix for_batch(const Matrix& matrix, int rows);

// Rows of the matrix that are stored together, and computed best together.
int panel_rows(const Kernels& kernels, const Matrix& matrix);

// y = epilogue(x . matrix^T + bias) for one tile, on the calling thread, from converted inputs.
void multiply(const Kernels& kernels, const Matrix& matrix, const Inputs& inputs, const Tile& tile,
              const float* x, std::ptrdiff_t ldx, Epilogue epilogue, float* y, std::ptrdiff_t ldy);

// y[m, n] = epilogue(x[m, k] . matrix^T + bias) for the first n rows of the matrix, on all threads.
void linear(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx, Epilogue epilogue,
            float* y, int ldy, Inputs& inputs);

// The same of inputs that are converted already, to what this `matrix` multiplies: float32 alone looks at x.
void linear_of_converted(ThreadPool& pool, const Matrix& matrix, int m, int n, const float* x, int ldx,
                         Epilogue epilogue, float* y, int ldy, Inputs& inputs);

}  // namespace ob

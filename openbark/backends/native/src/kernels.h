// The arithmetic that differs between processors, as one table of functions per variant.
//
// Matrices of weights are packed: rows in panels (the last one padded with zeros), inside a panel by
// position along k, so that one broadcast value of the input meets a whole panel at once. Every output is a
// sum over k in ascending order whatever the number of input rows: a row's result does not depend on its
// neighbours, and a decode step equals the prefill of the same position bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu.h"

namespace ob {

// What happens to a product once its bias is added: written, added to what is there, or passed through GELU.
enum class Finish : int { kStore, kAdd, kGelu };

// Rows of a packed integer or bfloat16 panel, in every variant.
constexpr int kPanel = 64;
// Positions along k that share one scale in 4-bit weights.
constexpr int kGroup = 32;
// Keys of one block of the attention cache.
constexpr int kKeyBlock = 16;
constexpr int kMaxHeadDim = 256;

// c[r, 0..n) = finish(a[r] . weights^T + bias) for r in [0, rows); bias may be null.
struct Product {
  int rows, n, k;
  const float* bias;
  Finish finish;
  float* c;
  std::ptrdiff_t ldc;
};

// Rows of 8-bit numbers x = scale * q, `stride` bytes apart, zero beyond k; a variant may store q plus a constant
// of its own where there are no group sums. `group_sums` [rows, k / kGroup]
// are the sums of q over each group, for 4-bit weights.
struct QuantisedRows {
  const std::int8_t* q;
  std::ptrdiff_t stride;
  const float* scales;
  const std::int32_t* group_sums;
  std::ptrdiff_t sums_stride;
};

// One head's attention for consecutive query rows. Row r sees the first `visible + r * visible_step` keys.
// Keys are stored [block][d][kKeyBlock], values [key][d padded to kKeyBlock], as float32; as bfloat16 two
// consecutive d (keys) or two consecutive keys (values) lie side by side.
struct Attention {
  const float* q;
  std::ptrdiff_t ldq;
  int rows, visible, visible_step, head_dim;
  const void* keys;
  const void* values;
  float* scores;  // scratch: 8 rows of `scores_stride`, a multiple of 4 * kKeyBlock
  std::ptrdiff_t scores_stride;
  float* out;
  std::ptrdiff_t ldo;
};

struct Kernels {
  Isa isa;
  const char* name;
  int f32_panel;  // columns of a packed float32 panel

  void (*f32)(const Product& product, const float* a, std::ptrdiff_t lda, const float* panels);
  // Null where the processor has no bfloat16 arithmetic. `a` is bfloat16, k padded to even.
  void (*bf16)(const Product& product, const std::uint16_t* a, std::ptrdiff_t lda,
               const std::uint16_t* panels);
  void (*int8)(const Product& product, const QuantisedRows& a, const std::int8_t* panels,
               const float* scales, const std::int32_t* sums);
  void (*int4)(const Product& product, const QuantisedRows& a, const std::uint8_t* panels,
               const std::uint16_t* scales);

  // q[0..padded) and its scale for x[0..k); group_sums may be null.
  void (*quantise)(const float* x, int k, int padded, std::int8_t* q, float* scale,
                   std::int32_t* group_sums);
  void (*to_bf16)(const float* x, int n, int padded, std::uint16_t* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int n, float* out);
  void (*attend_f32)(const Attention& attention);
  void (*attend_bf16)(const Attention& attention);
  float (*dot)(const float* a, const float* b, int n);
  // Touches every byte of a multiple of 256, in order, as fast as they come; returns them combined.
  std::int32_t (*read)(const std::uint8_t* from, std::size_t bytes);
};

// The table of an available variant.
const Kernels& kernels_of(Isa isa);

extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif
#if defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

}  // namespace ob

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
enum class Epilogue : int { kStore = OB_STORE, kAdd = OB_ADD, kGelu = OB_GELU };

// Rows of a packed integer or bfloat16 panel, in every variant.
constexpr int kPanel = 64;
// Positions along k that share one factor in 4-bit weights.
constexpr int kGroup = 32;
// A 4-bit weight stands for (w - 8) times its group's factor times its row's scale; with factors up to this either way
// the first two make a number of 8 bits. A group in a panel: the factors of its rows, a byte each, then its weights.
// Factors of rows 16 apart share a word, so that shifts make vectors of them.
constexpr int kMostFactor = 15;
constexpr int kGroupBytes = kPanel + kPanel * kGroup / 2;
constexpr int factor_at(int row) { return row % 16 * 4 + row / 16; }
// Keys of one block of the attention cache.
constexpr int kKeyBlock = 16;
constexpr int kMaxHeadDim = 256;
// Query rows whose scores an attention kernel keeps at once, at most.
constexpr int kScoreRows = 8;

constexpr int padded_head_dim(int head_dim) { return (head_dim + kKeyBlock - 1) / kKeyBlock * kKeyBlock; }

// 8-bit keys and values. A block of keys: kKeyBlock scales of its keys and as many of its values, float32, then
// [head_dim / 4][key][4 numbers], a word of four. A block of values: [key / 4][padded head_dim][4 keys].
constexpr int byte_words(int head_dim) { return (head_dim + 3) / 4; }
constexpr int kBlockScales = 2 * kKeyBlock * 4;
constexpr int key_block_bytes(int head_dim) { return kBlockScales + byte_words(head_dim) * kKeyBlock * 4; }
constexpr int value_block_bytes(int head_dim) { return padded_head_dim(head_dim) * kKeyBlock; }

// c[r, 0..n) = epilogue(a[r] . weights^T + bias) for r in [0, rows); bias may be null.
struct Product {
  int rows, n, k;
  const float* bias;
  Epilogue epilogue;
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
// consecutive d (keys) or two consecutive keys (values) lie side by side; as bytes in the blocks described above.
struct Attention {
  const float* q;
  std::ptrdiff_t ldq;
  int rows, visible, visible_step, head_dim;
  const void* keys;
  const void* values;
  float* scores;  // scratch: kScoreRows + 3 rows of `scores_stride`, above the keys rounded up to 4 * kKeyBlock
  std::ptrdiff_t scores_stride;
  float* out;
  std::ptrdiff_t ldo;
  const void* next;  // what the thread reads after this, or null
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
               const float* scales);
  // A panel of 4-bit weights in the form of 8-bit ones: the same whole numbers.
  void (*widen)(const std::uint8_t* panel, int k, std::int8_t* out);

  // q[0..padded) and its scale for x[0..k); group_sums may be null.
  void (*quantise)(const float* x, int k, int padded, std::int8_t* q, float* scale,
                   std::int32_t* group_sums);
  void (*to_bf16)(const float* x, int n, int padded, std::uint16_t* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int n, float* out);
  void (*attend_f32)(const Attention& attention);
  void (*attend_bf16)(const Attention& attention);  // null without bfloat16 arithmetic
  void (*attend_bytes)(const Attention& attention);
  // Rounds one key and value to 8 bits each and puts them into place `lane` of their blocks.
  void (*append_bytes)(const float* key, const float* value, int head_dim, int lane, std::uint8_t* key_block,
                       std::uint8_t* value_block);
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

// Kernels for x86-64 processors with AVX-512, its 8-bit dot products (VNNI) and bfloat16.
#if defined(__x86_64__)
#include "kernels.h"
#include "target.h"

#include <immintrin.h>

#define OB_WIDTH 16
#define OB_VECTORS 4
#define OB_ROWS 6
#define OB_QUERY_ROWS 8
#define OB_SCORE_BLOCKS 2
#define OB_MIX_VECTORS 2
#define OB_BYTE_ROWS 6
#define OB_BYTE_BLOCKS 4
#define OB_BYTE_MIX 2
#define OB_INT_VECTORS 4
#define OB_INT_ROWS 6
#define OB_INT4_ROWS 4

OB_TARGET_BEGIN("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
namespace ob {
namespace avx512 {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"

static void to_bf16(const float* x, int n, int padded, std::uint16_t* out) {
  for (int i = 0; i < padded; i += kWidth) {
    const int left = n - i;
    const __mmask16 some = left >= kWidth ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1 << left) - 1);
    const __m256bh halves = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), reinterpret_cast<__m256i>(halves));
  }
}

// Queries and weights are rounded to bfloat16 as well: the processor multiplies pairs of those.
struct PairCache {
  using Factor = std::uint16_t;
  static constexpr int kPositions = 2;
  static void convert(const float* x, int n, Factor* out) { to_bf16(x, n, n, out); }
  // Exact enough beside values of 8 bits.
  OB_INLINE V weight(V x, float scale, float offset) {
    constexpr float kLog2e = 1.44269504f;
    return vexp2(x * splat(scale * kLog2e) + splat(offset * kLog2e));
  }
  OB_INLINE void keep(V weights, Factor* out) {
    const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(weights));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), reinterpret_cast<__m256i>(halves));
  }
  OB_INLINE void add(V& acc, const void* cache, std::ptrdiff_t at, const Factor* factors) {
    const auto words = load_words(static_cast<const std::uint32_t*>(cache) + at);
    acc = reinterpret_cast<V>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(acc),
                                               reinterpret_cast<__m512bh>(words),
                                               reinterpret_cast<__m512bh>(splat_word(factors))));
  }
};

// The instruction multiplies unsigned with signed bytes: inputs are stored 128 higher, and the sum of the
// weights, 128 times, is taken away again.
constexpr std::int32_t kInputOffset = 128;

OB_INLINE VI dot_int8(VI acc, VI w, VI x) {
  return reinterpret_cast<VI>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(acc), reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(w)));
}

// 4-bit weights are the unsigned side themselves.
OB_INLINE VI dot_int4(VI acc, VI w, VI x) {
  return reinterpret_cast<VI>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(acc), reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(x)));
}

OB_INLINE void store_bytes(void* p, VI words) {
  __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, reinterpret_cast<__m512i>(words));
  // The instruction that narrows and stores at once takes several times as long as one of each.
  __asm__("" : "+v"(bytes));
  _mm_storeu_si128(static_cast<__m128i*>(p), bytes);
}

#include "kernels_int.inc"

// Keys are the unsigned side of scores, weights that of mixed values.
constexpr std::int32_t kKeyOffset = 128;
constexpr float kWeightSteps = 255.0f;

OB_INLINE VWords words_of(V a, V b) {
  const __m512i low = _mm512_maskz_cvtps_epi32(0xffff, reinterpret_cast<__m512>(a));
  const __m512i high = _mm512_maskz_cvtps_epi32(0xffff, reinterpret_cast<__m512>(b));
  return reinterpret_cast<VWords>(_mm512_packus_epi32(low, high));
}
OB_INLINE bool any_below(VWords x, std::uint16_t bound) {
  return _mm512_cmplt_epu16_mask(reinterpret_cast<__m512i>(x), _mm512_set1_epi16(static_cast<short>(bound))) != 0;
}
OB_INLINE bool any_above(VWords x, std::uint16_t bound) {
  return _mm512_cmpgt_epu16_mask(reinterpret_cast<__m512i>(x), _mm512_set1_epi16(static_cast<short>(bound))) != 0;
}
OB_INLINE void store_halves(void* p, VWords words) {
  const __m512i order = _mm512_set4_epi32(0x0e0c0a08, 0x0f0d0b09, 0x06040200, 0x07050301);
  _mm512_storeu_si512(p, _mm512_shuffle_epi8(reinterpret_cast<__m512i>(words), order));
}

OB_INLINE VI dot_key(VI acc, VI keys, VI query) { return dot_int8(acc, query, keys); }
OB_INLINE VI dot_value(VI acc, VI values, VI weights) { return dot_int8(acc, values, weights); }

#include "kernels_attention_int.inc"

template <int M>
static void bf16_rows(const Product& p, const std::uint16_t* a, std::ptrdiff_t lda,
                      const std::uint16_t* panel, int row, int column) {
  V acc[M][kPanelVectors] = {};
  const std::uint16_t* x = a + row * lda;
  for (int i = 0; i < p.k; i += 2) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      const auto w = reinterpret_cast<__m512bh>(load_words(panel + v * kWidth * 2));
      if (M == 1) __builtin_prefetch(panel + kAhead / 2 + v * kWidth * 2, 0, 2);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        const auto pair = reinterpret_cast<__m512bh>(splat_word(x + m * lda + i));
        acc[m][v] = reinterpret_cast<V>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(acc[m][v]), pair, w));
      }
    }
    panel += kPanel * 2;
  }
  finish_tile(p, acc, row, column);
}

static void bf16_product(const Product& p, const std::uint16_t* a, std::ptrdiff_t lda,
                         const std::uint16_t* panels) {
  for (int column = 0; column < p.n; column += kPanel) {
    int row = 0;
    for (; row + OB_INT_ROWS <= p.rows; row += OB_INT_ROWS) {
      bf16_rows<OB_INT_ROWS>(p, a, lda, panels, row, column);
    }
    for (; row + 2 <= p.rows; row += 2) bf16_rows<2>(p, a, lda, panels, row, column);
    if (row < p.rows) bf16_rows<1>(p, a, lda, panels, row, column);
    panels += static_cast<std::ptrdiff_t>(kPanel) * p.k;
  }
}

}  // namespace avx512
}  // namespace ob
OB_TARGET_END

namespace ob {

const Kernels kAvx512Kernels = {
    Isa::kAvx512,
    "avx512",
    avx512::kF32Panel,
    avx512::f32_product,
    avx512::bf16_product,
    avx512::int8_product,
    avx512::int4_product,
    avx512::widen,
    avx512::quantise,
    avx512::to_bf16,
    avx512::layer_norm,
    avx512::attend<avx512::Float32Cache>,
    avx512::attend<avx512::PairCache>,
    avx512::attend_bytes,
    avx512::append_bytes,
    avx512::dot,
    avx512::read,
};

}  // namespace ob
#endif

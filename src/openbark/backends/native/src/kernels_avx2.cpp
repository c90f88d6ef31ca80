// Kernels for x86-64 processors with AVX2 and FMA.
#if defined(__x86_64__)
#include "kernels.h"
#include "target.h"

#include <immintrin.h>

#define OB_WIDTH 8
#define OB_VECTORS 2
#define OB_ROWS 6
#define OB_QUERY_ROWS 4
#define OB_SCORE_BLOCKS 1
#define OB_MIX_VECTORS 2
#define OB_BYTE_ROWS 2
#define OB_BYTE_BLOCKS 1
#define OB_BYTE_MIX 2
#define OB_INT_VECTORS 2
#define OB_INT_ROWS 4
#define OB_INT4_ROWS 2

OB_TARGET_BEGIN("avx2,fma")
namespace ob {
namespace avx2 {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"

constexpr std::int32_t kInputOffset = 0;

// Pairs of products add up in 16 bits: 2 * 127 * 127 and 2 * 15 * 128 stay below 2^15.
OB_INLINE VI dot_pairs(VI acc, __m256i unsigned_bytes, __m256i signed_bytes) {
  const __m256i pairs = _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
  return acc + reinterpret_cast<VI>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// One factor has to be unsigned: the sign of x moves to w.
OB_INLINE VI dot_int8(VI acc, VI w, VI x) {
  const auto inputs = reinterpret_cast<__m256i>(x);
  return dot_pairs(acc, _mm256_abs_epi8(inputs), _mm256_sign_epi8(reinterpret_cast<__m256i>(w), inputs));
}

OB_INLINE VI dot_int4(VI acc, VI w, VI x) {
  return dot_pairs(acc, reinterpret_cast<__m256i>(w), reinterpret_cast<__m256i>(x));
}

OB_INLINE void store_bytes(void* p, VI words) {
  const __m256i lowest = _mm256_set1_epi32(0x0c080400);
  const __m256i picked = _mm256_shuffle_epi8(reinterpret_cast<__m256i>(words), lowest);
  const __m128i bytes = _mm_unpacklo_epi32(_mm256_castsi256_si128(picked), _mm256_extracti128_si256(picked, 1));
  _mm_storel_epi64(static_cast<__m128i*>(p), bytes);
}

#include "kernels_int.inc"

constexpr std::int32_t kKeyOffset = 0;
constexpr float kWeightSteps = 127.0f;

OB_INLINE VWords words_of(V a, V b) {
  return reinterpret_cast<VWords>(_mm256_packus_epi32(_mm256_cvtps_epi32(reinterpret_cast<__m256>(a)),
                                                      _mm256_cvtps_epi32(reinterpret_cast<__m256>(b))));
}
// Weights and bounds are below 2^15.
OB_INLINE bool any_below(VWords x, std::uint16_t bound) {
  const __m256i bounds = _mm256_set1_epi16(static_cast<short>(bound));
  return _mm256_movemask_epi8(_mm256_cmpgt_epi16(bounds, reinterpret_cast<__m256i>(x))) != 0;
}
OB_INLINE bool any_above(VWords x, std::uint16_t bound) {
  const __m256i bounds = _mm256_set1_epi16(static_cast<short>(bound));
  return _mm256_movemask_epi8(_mm256_cmpgt_epi16(reinterpret_cast<__m256i>(x), bounds)) != 0;
}
OB_INLINE void store_halves(void* p, VWords words) {
  const __m256i order = _mm256_setr_epi32(0x07050301, 0x06040200, 0x0f0d0b09, 0x0e0c0a08, 0x07050301, 0x06040200,
                                          0x0f0d0b09, 0x0e0c0a08);
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm256_shuffle_epi8(reinterpret_cast<__m256i>(words), order));
}

OB_INLINE VI dot_key(VI acc, VI keys, VI query) { return dot_int8(acc, keys, query); }
OB_INLINE VI dot_value(VI acc, VI values, VI weights) { return dot_int8(acc, values, weights); }

#include "kernels_attention_int.inc"
}  // namespace avx2
}  // namespace ob
OB_TARGET_END

namespace ob {

const Kernels kAvx2Kernels = {
    Isa::kAvx2,
    "avx2",
    avx2::kF32Panel,
    avx2::f32_product,
    nullptr,
    avx2::int8_product,
    avx2::int4_product,
    avx2::widen,
    avx2::quantise,
    nullptr,
    avx2::layer_norm,
    avx2::attend<avx2::Float32Cache>,
    nullptr,
    avx2::attend_bytes,
    avx2::append_bytes,
    avx2::dot,
    avx2::read,
};

}  // namespace ob
#endif

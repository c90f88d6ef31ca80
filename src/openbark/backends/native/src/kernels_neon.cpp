// Kernels for 64-bit ARM processors with the 8-bit dot product.
#if defined(__aarch64__)
#include "kernels.h"
#include "target.h"

#include <arm_neon.h>

#define OB_WIDTH 4
#define OB_VECTORS 2
#define OB_ROWS 8
#define OB_QUERY_ROWS 4
#define OB_SCORE_BLOCKS 1
#define OB_MIX_VECTORS 2
#define OB_BYTE_ROWS 4
#define OB_BYTE_BLOCKS 1
#define OB_BYTE_MIX 2
#define OB_INT_VECTORS 4
#define OB_INT_ROWS 4
#define OB_INT4_ROWS 4

#if defined(__clang__)
OB_TARGET_BEGIN("dotprod")
#else
// With the architecture's name: arm_neon.h inlines its dot product only into functions of 8.2 or newer.
OB_TARGET_BEGIN("arch=armv8.2-a+dotprod")
#endif
namespace ob {
namespace neon {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"

constexpr std::int32_t kInputOffset = 0;

OB_INLINE VI dot_int8(VI acc, VI w, VI x) {
  return reinterpret_cast<VI>(vdotq_s32(reinterpret_cast<int32x4_t>(acc), reinterpret_cast<int8x16_t>(w),
                                        reinterpret_cast<int8x16_t>(x)));
}

OB_INLINE VI dot_int4(VI acc, VI w, VI x) { return dot_int8(acc, w, x); }

OB_INLINE void store_bytes(void* p, VI words) {
  typedef std::int8_t Bytes __attribute__((vector_size(OB_WIDTH)));
  const Bytes bytes = __builtin_convertvector(words, Bytes);
  __builtin_memcpy(p, &bytes, OB_WIDTH);
}

#include "kernels_int.inc"

constexpr std::int32_t kKeyOffset = 0;
constexpr float kWeightSteps = 127.0f;

OB_INLINE VWords words_of(V a, V b) {
  const uint16x4_t low = vmovn_u32(vcvtnq_u32_f32(reinterpret_cast<float32x4_t>(a)));
  const uint16x4_t high = vmovn_u32(vcvtnq_u32_f32(reinterpret_cast<float32x4_t>(b)));
  return reinterpret_cast<VWords>(vcombine_u16(low, high));
}
OB_INLINE bool any_below(VWords x, std::uint16_t bound) { return vminvq_u16(reinterpret_cast<uint16x8_t>(x)) < bound; }
OB_INLINE bool any_above(VWords x, std::uint16_t bound) { return vmaxvq_u16(reinterpret_cast<uint16x8_t>(x)) > bound; }
OB_INLINE void store_halves(void* p, VWords words) {
  constexpr std::uint8_t kOrder[] = {1, 3, 5, 7, 0, 2, 4, 6, 9, 11, 13, 15, 8, 10, 12, 14};
  vst1q_u8(static_cast<std::uint8_t*>(p), vqtbl1q_u8(reinterpret_cast<uint8x16_t>(words), vld1q_u8(kOrder)));
}

OB_INLINE VI dot_key(VI acc, VI keys, VI query) { return dot_int8(acc, keys, query); }
OB_INLINE VI dot_value(VI acc, VI values, VI weights) { return dot_int8(acc, values, weights); }

#include "kernels_attention_int.inc"
}  // namespace neon
}  // namespace ob
OB_TARGET_END

namespace ob {

const Kernels kNeonKernels = {
    Isa::kNeon,
    "neon",
    neon::kF32Panel,
    neon::f32_product,
    nullptr,
    neon::int8_product,
    neon::int4_product,
    neon::widen,
    neon::quantise,
    nullptr,
    neon::layer_norm,
    neon::attend<neon::Float32Cache>,
    nullptr,
    neon::attend_bytes,
    neon::append_bytes,
    neon::dot,
    neon::read,
};

}  // namespace ob
#endif

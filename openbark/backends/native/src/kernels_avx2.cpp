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

OB_TARGET_BEGIN("avx2,fma,f16c")
namespace ob {
namespace avx2 {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"
}  // namespace avx2
}  // namespace ob
OB_TARGET_END

namespace ob {

const Kernels kAvx2Kernels = {
    Isa::kAvx2, "avx2", avx2::kF32Panel, avx2::f32_product, nullptr, nullptr, nullptr, nullptr,
    nullptr, avx2::layer_norm, avx2::attend<avx2::Float32Cache>, avx2::attend<avx2::Bfloat16Cache>,
    avx2::dot,
};

}  // namespace ob
#endif

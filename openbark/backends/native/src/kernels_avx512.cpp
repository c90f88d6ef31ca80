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

OB_TARGET_BEGIN("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
namespace ob {
namespace avx512 {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"
}  // namespace avx512
}  // namespace ob
OB_TARGET_END

namespace ob {

const Kernels kAvx512Kernels = {
    Isa::kAvx512, "avx512", avx512::kF32Panel, avx512::f32_product, nullptr, nullptr, nullptr,
    nullptr, nullptr, avx512::layer_norm, avx512::attend<avx512::Float32Cache>,
    avx512::attend<avx512::Bfloat16Cache>, avx512::dot,
};

}  // namespace ob
#endif

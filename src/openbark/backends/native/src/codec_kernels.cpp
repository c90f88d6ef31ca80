#include "codec_kernels.h"

#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "target.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// simd.inc also holds what only the matrix products need.
#pragma GCC diagnostic ignored "-Wunused-function"

#define OB_WIDTH 4
namespace ob {
namespace codec_generic {
#include "simd.inc"
#include "codec_kernels.inc"
}  // namespace codec_generic
}  // namespace ob
#undef OB_WIDTH

#if defined(__x86_64__)
#define OB_WIDTH 8
OB_TARGET_BEGIN("avx2,fma")
namespace ob {
namespace codec_avx2 {
#include "simd.inc"
#include "codec_kernels.inc"
}  // namespace codec_avx2
}  // namespace ob
OB_TARGET_END
#undef OB_WIDTH

#define OB_WIDTH 16
OB_TARGET_BEGIN("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq")
namespace ob {
namespace codec_avx512 {
#include "simd.inc"
#include "codec_kernels.inc"
}  // namespace codec_avx512
}  // namespace ob
OB_TARGET_END
#undef OB_WIDTH
#endif

namespace ob {

const CodecKernels& codec_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return codec_avx512::kCodecKernels;
    case Isa::kAvx2:
      return codec_avx2::kCodecKernels;
#endif
    default:
      // NEON is part of the base instruction set of 64-bit ARM: four-wide vectors use it.
      return codec_generic::kCodecKernels;
  }
}

}  // namespace ob

#include "sampling_kernels.h"

#include <cstdint>

#include "target.h"

#define OB_WIDTH 4
namespace ob {
namespace sampling_generic {
#include "sampling_kernels.inc"
}  // namespace sampling_generic
}  // namespace ob
#undef OB_WIDTH

#if defined(__x86_64__)
#define OB_WIDTH 8
OB_TARGET_BEGIN("avx2,fma")
namespace ob {
namespace sampling_avx2 {
#include "sampling_kernels.inc"
}  // namespace sampling_avx2
}  // namespace ob
OB_TARGET_END
#undef OB_WIDTH

#define OB_WIDTH 16
OB_TARGET_BEGIN("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq")
namespace ob {
namespace sampling_avx512 {
#include "sampling_kernels.inc"
}  // namespace sampling_avx512
}  // namespace ob
OB_TARGET_END
#undef OB_WIDTH
#endif

namespace ob {

const SamplingKernels& sampling_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return sampling_avx512::kSamplingKernels;
    case Isa::kAvx2:
      return sampling_avx2::kSamplingKernels;
#endif
    default:
      // NEON is part of the base instruction set of 64-bit ARM: two doubles a vector use it.
      return sampling_generic::kSamplingKernels;
  }
}

}  // namespace ob

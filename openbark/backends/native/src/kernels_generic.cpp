// Kernels of plain C++: the compiler's four-wide vectors, no processor feature assumed.
#include "kernels.h"

#define OB_WIDTH 4
#define OB_VECTORS 2
#define OB_ROWS 4
#define OB_QUERY_ROWS 2
#define OB_SCORE_BLOCKS 1
#define OB_MIX_VECTORS 2

namespace ob {
namespace generic {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"
}  // namespace generic

const Kernels kGenericKernels = {
    Isa::kGeneric, "generic", generic::kF32Panel, generic::f32_product, nullptr, nullptr, nullptr,
    nullptr, nullptr, generic::layer_norm, generic::attend<generic::Float32Cache>,
    generic::attend<generic::Bfloat16Cache>, generic::dot,
};

}  // namespace ob

// Kernels of plain C++: the compiler's four-wide vectors, no processor feature assumed.
#include "kernels.h"

#define OB_WIDTH 4
#define OB_VECTORS 2
#define OB_ROWS 4
#define OB_QUERY_ROWS 2
#define OB_SCORE_BLOCKS 1
#define OB_MIX_VECTORS 2
#define OB_BYTE_ROWS 2
#define OB_BYTE_BLOCKS 1
#define OB_BYTE_MIX 2
#define OB_INT_VECTORS 2
#define OB_INT_ROWS 4
#define OB_INT4_ROWS 2

namespace ob {
namespace generic {
#include "simd.inc"
#include "kernels_f32.inc"
#include "kernels_attention.inc"

constexpr std::int32_t kInputOffset = 0;

// Byte `n` of every word, sign extended.
template <int N>
OB_INLINE VI byte_of(VI words) {
  return (words << (24 - 8 * N)) >> 24;
}

OB_INLINE VI dot_int8(VI acc, VI w, VI x) {
  return acc + byte_of<0>(w) * byte_of<0>(x) + byte_of<1>(w) * byte_of<1>(x) +
         byte_of<2>(w) * byte_of<2>(x) + byte_of<3>(w) * byte_of<3>(x);
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
  VWords words;
  const VI low = reinterpret_cast<VI>(a + splat(12582912.0f));
  const VI high = reinterpret_cast<VI>(b + splat(12582912.0f));
  for (int i = 0; i < 4; ++i) {
    words[i] = static_cast<std::uint16_t>(low[i]);
    words[4 + i] = static_cast<std::uint16_t>(high[i]);
  }
  return words;
}
OB_INLINE bool any_of(VWords lanes) {
  std::uint64_t halves[2];
  __builtin_memcpy(halves, &lanes, 16);
  return (halves[0] | halves[1]) != 0;
}
OB_INLINE bool any_below(VWords x, std::uint16_t bound) { return any_of(reinterpret_cast<VWords>(x < bound)); }
OB_INLINE bool any_above(VWords x, std::uint16_t bound) { return any_of(reinterpret_cast<VWords>(x > bound)); }
OB_INLINE void store_halves(void* p, VWords words) {
  std::uint8_t bytes[16];
  for (int i = 0; i < 8; ++i) {
    const int at = i / 4 * 8 + i % 4;
    bytes[at] = static_cast<std::uint8_t>(words[i] >> 8);
    bytes[at + 4] = static_cast<std::uint8_t>(words[i]);
  }
  __builtin_memcpy(p, bytes, 16);
}

OB_INLINE VI dot_key(VI acc, VI keys, VI query) { return dot_int8(acc, keys, query); }
OB_INLINE VI dot_value(VI acc, VI values, VI weights) { return dot_int8(acc, values, weights); }

#include "kernels_attention_int.inc"
}  // namespace generic

const Kernels kGenericKernels = {
    Isa::kGeneric,
    "generic",
    generic::kF32Panel,
    generic::f32_product,
    nullptr,
    generic::int8_product,
    generic::int4_product,
    generic::widen,
    generic::quantise,
    nullptr,
    generic::layer_norm,
    generic::attend<generic::Float32Cache>,
    nullptr,
    generic::attend_bytes,
    generic::append_bytes,
    generic::dot,
    generic::read,
};

}  // namespace ob

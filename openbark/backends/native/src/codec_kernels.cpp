#include "codec_kernels.h"

#include <cmath>
#include <cstring>

// Each body is written once and inlined into one function per instruction set: the compiler then
// vectorises it for that set. GCC and Clang allow inlining into a function with more features.
#define OB_BODY inline __attribute__((always_inline))

namespace ob {
namespace {

constexpr int kLanes = 16;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
// The same at any address; reading through it is an unaligned load.
typedef float Row __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

OB_BODY const Row& row(const float* p) { return *reinterpret_cast<const Row*>(p); }

OB_BODY float sum_lanes(const Lanes& lanes) {
  float part[kLanes];
  std::memcpy(part, &lanes, sizeof part);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

// exp to about 1 ulp, without branches or calls so that loops over it vectorise. Arguments are
// held inside the range whose result is a normal number.
OB_BODY float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  // ln 2 in two pieces, the first exact in few bits, keeps the remainder accurate.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3f800000u;  // n sits in the low bits of `shifted`
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

OB_BODY float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

OB_BODY float hyperbolic_tangent(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

OB_BODY void elu_body(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = x[i];
    const float below = fast_exp(value) - 1.0f;
    y[i] = value > 0.0f ? value : below;
  }
}

OB_BODY void layer_norm_body(const float* x, const float* weight, const float* bias, float* y,
               int width) {
  Lanes sums = {};
  int i = 0;
  for (; i + kLanes <= width; i += kLanes) sums += row(x + i);
  float total = sum_lanes(sums);
  for (; i < width; ++i) total += x[i];
  const float mean = total / static_cast<float>(width);
  Lanes squares = {};
  for (i = 0; i + kLanes <= width; i += kLanes) {
    const Lanes centred = row(x + i) - mean;
    squares += centred * centred;
  }
  float square = sum_lanes(squares);
  for (; i < width; ++i) square += (x[i] - mean) * (x[i] - mean);
  const float gain = 1.0f / std::sqrt(square / static_cast<float>(width) + 1e-6f);
  for (i = 0; i < width; ++i) y[i] = (x[i] - mean) * gain * weight[i] + bias[i];
}

OB_BODY void gate_sums(const float* weight, const float* hidden, int width, float sums[4]) {
  Lanes lanes[4] = {};
  int i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (int gate = 0; gate < 4; ++gate)
      lanes[gate] += row(hidden + i) * row(weight + gate * width + i);
  for (int gate = 0; gate < 4; ++gate) {
    sums[gate] = sum_lanes(lanes[gate]);
    for (int j = i; j < width; ++j) sums[gate] += hidden[j] * weight[gate * width + j];
  }
}

OB_BODY void lstm_units_body(const float* inputs, const float* weight, const float* hidden,
               float* cell, float* next, int width, int first, int last) {
  constexpr int kBlock = 64;
  float gates[4][kBlock];
  for (int start = first; start < last; start += kBlock) {
    const int count = last - start < kBlock ? last - start : kBlock;
    for (int u = 0; u < count; ++u) {
      float sums[4];
      const int unit = start + u;
      gate_sums(weight + static_cast<int64_t>(unit) * 4 * width, hidden, width, sums);
      for (int gate = 0; gate < 4; ++gate)
        gates[gate][u] = sums[gate] + inputs[gate * width + unit];
    }
    for (int u = 0; u < count; ++u) {
      const float kept = sigmoid(gates[1][u]) * cell[start + u];
      const float added = sigmoid(gates[0][u]) * hyperbolic_tangent(gates[2][u]);
      cell[start + u] = kept + added;
      next[start + u] = sigmoid(gates[3][u]) * hyperbolic_tangent(kept + added);
    }
  }
}

// One function per kernel with the given attribute, and the table of them.
#define OB_KERNEL_SET(SET, TARGET)                                                             \
  TARGET void elu_##SET(const float* x, float* y, int64_t n) { elu_body(x, y, n); }            \
  TARGET void norm_##SET(const float* x, const float* w, const float* b, float* y, int n) {    \
    layer_norm_body(x, w, b, y, n);                                                            \
  }                                                                                            \
  TARGET void lstm_##SET(const float* in, const float* w, const float* h, float* c, float* o,  \
                         int width, int first, int last) {                                     \
    lstm_units_body(in, w, h, c, o, width, first, last);                                       \
  }                                                                                            \
  constexpr CodecKernels k##SET = {elu_##SET, norm_##SET, lstm_##SET};

OB_KERNEL_SET(Plain, )
#if defined(__x86_64__)
OB_KERNEL_SET(Avx2, __attribute__((target("avx2,fma"))))
OB_KERNEL_SET(Avx512, __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma"))))
#endif

}  // namespace

const CodecKernels& codec_kernels(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return kAvx512;
    case Isa::kAvx2:
      return kAvx2;
#endif
    default:
      // NEON is part of the base instruction set of 64-bit ARM: the plain bodies use it.
      return kPlain;
  }
}

}  // namespace ob

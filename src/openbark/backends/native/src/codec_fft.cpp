#include "codec_fft.h"

#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace ob {
namespace {

constexpr double kTwoPi = 6.283185307179586476925;
constexpr int kLanes = kFftLanes;

std::vector<int> prime_factors(int size) {
  std::vector<int> factors;
  for (int p = 2; size > 1; ++p) {
    if (p * p > size) p = size;
    for (; size % p == 0; size /= p) factors.push_back(p);
  }
  return factors;
}

// cos and sin of angle * j for j in [0, count).
void circle(double angle, int count, std::vector<float>& cosines, std::vector<float>& sines) {
  for (int j = 0; j < count; ++j) {
    cosines.push_back(static_cast<float>(std::cos(angle * j)));
    sines.push_back(static_cast<float>(std::sin(angle * j)));
  }
}

int checked(int size) {
  if (size < 2 || size % 2 != 0) throw std::invalid_argument("codec: the FFT size must be even");
  return size;
}

}  // namespace

ComplexFft::ComplexFft(int size, int sign) : size_(size), factors_(prime_factors(size)) {
  circle(sign * kTwoPi / size, size, cos_, sin_);
}

void ComplexFft::run(const float* in_re, const float* in_im, float* out_re, float* out_im,
                     float* scratch) const {
  step(in_re, in_im, 1, out_re, out_im, size_, 0, scratch);
}

// Transforms the inputs in_stride apart. Their every p-th elements are transformed first, each set
// into one part of the output, then combined in place.
void ComplexFft::step(const float* in_re, const float* in_im, int in_stride, float* out_re,
                      float* out_im, int size, std::size_t factor, float* scratch) const {
  if (size == 1) {
    for (int l = 0; l < kLanes; ++l) {
      out_re[l] = in_re[l];
      out_im[l] = in_im[l];
    }
    return;
  }
  const int radix = factors_[factor], part = size / radix;
  for (int q = 0; q < radix; ++q) {
    const std::ptrdiff_t in = static_cast<std::ptrdiff_t>(q) * in_stride * kLanes;
    const std::ptrdiff_t out = static_cast<std::ptrdiff_t>(q) * part * kLanes;
    step(in_re + in, in_im + in, in_stride * radix, out_re + out, out_im + out, part, factor + 1,
         scratch);
  }
  butterfly(out_re, out_im, radix, part, in_stride, scratch);
}

// out[k + r * part] = sum over q of w^(q * (k + r * part)) * in_q[k], w = e^(sign 2 pi i / size): the
// twiddle factors and the small transform of `radix` elements in one table look-up.
void ComplexFft::butterfly(float* re, float* im, int radix, int part, int twiddle_stride,
                           float* scratch) const {
  float* old_re = scratch;
  float* old_im = old_re + radix * kLanes;
  for (int k = 0; k < part; ++k) {
    for (int q = 0; q < radix; ++q) {
      const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(q) * part + k) * kLanes;
      for (int l = 0; l < kLanes; ++l) {
        old_re[q * kLanes + l] = re[at + l];
        old_im[q * kLanes + l] = im[at + l];
      }
    }
    for (int r = 0; r < radix; ++r) {
      float sum_re[kLanes], sum_im[kLanes];
      for (int l = 0; l < kLanes; ++l) {
        sum_re[l] = old_re[l];
        sum_im[l] = old_im[l];
      }
      const int turn = (k + r * part) * twiddle_stride;
      for (int q = 1, j = 0; q < radix; ++q) {
        j += turn;
        if (j >= size_) j -= size_;
        const float c = cos_[static_cast<std::size_t>(j)], s = sin_[static_cast<std::size_t>(j)];
        for (int l = 0; l < kLanes; ++l) {
          const float a = old_re[q * kLanes + l], b = old_im[q * kLanes + l];
          sum_re[l] += a * c - b * s;
          sum_im[l] += a * s + b * c;
        }
      }
      const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(r) * part + k) * kLanes;
      for (int l = 0; l < kLanes; ++l) {
        re[at + l] = sum_re[l];
        im[at + l] = sum_im[l];
      }
    }
  }
}

RealFft::RealFft(int size)
    : size_(checked(size)), forward_(size / 2, -1), inverse_(size / 2, 1) {
  circle(kTwoPi / size, size / 2 + 1, cos_, sin_);
}

void RealFft::forward(const float* signal, float* re, float* im, float* scratch) const {
  const int half = size_ / 2;
  float* even = scratch;
  float* odd = even + half * kLanes;
  float* z_re = odd + half * kLanes;
  float* z_im = z_re + half * kLanes;
  for (int n = 0; n < half; ++n)
    for (int l = 0; l < kLanes; ++l) {
      even[n * kLanes + l] = signal[2 * n * kLanes + l];
      odd[n * kLanes + l] = signal[(2 * n + 1) * kLanes + l];
    }
  forward_.run(even, odd, z_re, z_im, z_im + half * kLanes);
  for (int k = 0; k <= half; ++k) {
    const float c = cos_[static_cast<std::size_t>(k)], s = sin_[static_cast<std::size_t>(k)];
    const int a = (k % half) * kLanes, b = ((half - k) % half) * kLanes;
    for (int l = 0; l < kLanes; ++l) {
      // The transforms of the even and of the odd samples, e and o.
      const float e_re = 0.5f * (z_re[a + l] + z_re[b + l]);
      const float e_im = 0.5f * (z_im[a + l] - z_im[b + l]);
      const float o_re = 0.5f * (z_im[a + l] + z_im[b + l]);
      const float o_im = -0.5f * (z_re[a + l] - z_re[b + l]);
      re[k * kLanes + l] = e_re + c * o_re + s * o_im;
      im[k * kLanes + l] = e_im + c * o_im - s * o_re;
    }
  }
}

void RealFft::inverse(const float* re, const float* im, float* signal, float* scratch) const {
  const int half = size_ / 2;
  float* z_re = scratch;
  float* z_im = z_re + half * kLanes;
  float* even = z_im + half * kLanes;
  float* odd = even + half * kLanes;
  const float scale = 1.0f / static_cast<float>(size_);
  for (int k = 0; k < half; ++k) {
    const float c = cos_[static_cast<std::size_t>(k)], s = sin_[static_cast<std::size_t>(k)];
    const int a = k * kLanes, b = (half - k) * kLanes;
    const float counts = k == 0 ? 0.0f : 1.0f;
    for (int l = 0; l < kLanes; ++l) {
      const float a_im = counts * im[a + l], b_im = counts * im[b + l];
      const float e_re = re[a + l] + re[b + l], e_im = a_im - b_im;
      const float d_re = re[a + l] - re[b + l], d_im = a_im + b_im;
      const float o_re = d_re * c - d_im * s, o_im = d_re * s + d_im * c;
      z_re[a + l] = e_re - o_im;
      z_im[a + l] = e_im + o_re;
    }
  }
  inverse_.run(z_re, z_im, even, odd, odd + half * kLanes);
  for (int n = 0; n < half; ++n)
    for (int l = 0; l < kLanes; ++l) {
      signal[2 * n * kLanes + l] = scale * even[n * kLanes + l];
      signal[(2 * n + 1) * kLanes + l] = scale * odd[n * kLanes + l];
    }
}

}  // namespace ob

// Real Fourier transforms of any even size, several at once.
//
// kFftLanes independent transforms lie side by side, [size][kFftLanes]: every step is then the same
// arithmetic on neighbouring floats, whatever the factors of the size are.
#pragma once

#include <vector>

namespace ob {

constexpr int kFftLanes = 8;

// A complex transform of any size by mixed radix (Cooley and Tukey), unscaled. A prime factor p costs
// p operations per element, which is fine for the sizes of audio frames.
class ComplexFft {
 public:
  // sign is -1 for the forward transform and +1 for the inverse.
  ComplexFft(int size, int sign);

  // Floats of scratch that `run` needs.
  int scratch_size() const { return 2 * (factors_.empty() ? 1 : factors_.back()) * kFftLanes; }
  // Out of place; all arrays [size][kFftLanes].
  void run(const float* in_re, const float* in_im, float* out_re, float* out_im,
           float* scratch) const;

 private:
  void step(const float* in_re, const float* in_im, int in_stride, float* out_re, float* out_im,
            int size, std::size_t factor, float* scratch) const;
  void butterfly(float* re, float* im, int radix, int part, int twiddle_stride,
                 float* scratch) const;

  int size_;
  std::vector<int> factors_;        // ascending
  std::vector<float> cos_, sin_;  // of sign * 2 pi j / size
};

class RealFft {
 public:
  // Throws std::invalid_argument when size is odd or below 2.
  explicit RealFft(int size);

  int size() const { return size_; }
  int bins() const { return size_ / 2 + 1; }
  // Floats of scratch that either direction needs.
  int scratch_size() const { return 2 * size_ * kFftLanes + forward_.scratch_size(); }

  // signal [size] -> spectrum [bins]; like numpy's rfft.
  void forward(const float* signal, float* re, float* im, float* scratch) const;
  // spectrum [bins] -> signal [size], scaled by 1 / size; like numpy's irfft: the imaginary parts of
  // the first and the last bin do not count.
  void inverse(const float* re, const float* im, float* signal, float* scratch) const;

 private:
  int size_;
  ComplexFft forward_, inverse_;  // of half the size: even samples are its real parts, odd its imaginary
  std::vector<float> cos_, sin_;  // of 2 pi k / size
};

}  // namespace ob

// Stacked, normalised log-mel frames of a waveform (framing: openbark/backends/torch/convnext.py).
#pragma once

#include "codec_description.h"
#include "codec_fft.h"

namespace ob {

class LogMel {
 public:
  explicit LogMel(Description& description);

  int features() const { return n_mels_ * subframes_; }
  int frames(int64_t length) const;
  // out [frames(length), features] of waveform [length].
  void run(ThreadPool& pool, const float* waveform, int64_t length, float* out) const;

 private:
  // Filters `band` covers bins [first, last); the others are zero in it.
  struct Band {
    int first, last;
  };

  void group(const float* waveform, int64_t length, int64_t first, int count, float* scratch,
             float* out) const;

  int hop_, subframes_, n_mels_;
  RealFft fft_;
  std::vector<float> window_, bank_;  // [n_fft], [n_mels, bins]
  std::vector<Band> bands_;
};

}  // namespace ob

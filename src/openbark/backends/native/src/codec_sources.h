// What the harmonic codec filters: a pulse train and white noise (openbark/backends/torch/harmonic.py says what
// they are).
#pragma once

#include <vector>

#include "codec_workspace.h"

namespace ob {

// The pulses of a sequence, made once for every sample, in order; the phase goes from piece to piece.
class PulseTrain {
 public:
  // frame: samples of one frame.
  PulseTrain(int frame, int sampling_rate) : frame_(frame), sampling_rate_(sampling_rate) {}

  // Frames that have pulses.
  int count() const { return count_; }
  // The first frame whose pitch the next call reads.
  int first_read() const { return count_ > 0 ? count_ - 1 : 0; }
  // Appends the frames before `end`: pulses [end - count(), frame] of the log pitches and voicings [2] of the frames
  // from first_read() to `total`, which is more than `end` unless the sequence ends there.
  void extend(ThreadPool& pool, const float* pitches, int end, int total, float* pulses);

 private:
  int frame_, sampling_rate_, count_ = 0;
  double sum_ = 0.0;  // Hz, over all samples so far
};

// Samples [start, start + count) of a fixed white noise of unit power.
void white_noise(ThreadPool& pool, int64_t start, int64_t count, float* noise);

}  // namespace ob

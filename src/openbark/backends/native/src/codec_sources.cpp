#include "codec_sources.h"

#include <cmath>

namespace ob {
namespace {

// As in openbark/backends/torch/harmonic.py.
constexpr double kMiddleHz = 150.0, kLowestHz = 50.0, kHighestHz = 600.0;
constexpr double kTwoPi = 6.283185307179586476925;
// Samples worth a piece of work for another thread.
constexpr int kGrain = 960;

// The sum of all cosines below half the sampling rate, of unit power, in closed form.
float pulse_at(double phase, double f0, double sampling_rate) {
  const double count = std::floor(sampling_rate / 2.0 / f0);
  const double half = (phase - kTwoPi * std::floor(phase / kTwoPi)) / 2.0, sine = std::sin(half);
  const double cosines = std::abs(sine) < 1e-4
                             ? count
                             : std::sin((2.0 * count + 1.0) * half) / (2.0 * sine) - 0.5;
  return static_cast<float>(cosines / std::sqrt(count / 2.0));
}

}  // namespace

void PulseTrain::extend(ThreadPool& pool, const float* pitches, int end, int total, float* pulses) {
  const int first = first_read(), added = end - count_;
  const double low = std::log(kLowestHz / kMiddleHz), high = std::log(kHighestHz / kMiddleHz);
  const auto log_f0 = [&](int frame) {
    const int held = std::clamp(frame, 0, total - 1);
    return std::clamp(static_cast<double>(pitches[2 * static_cast<int64_t>(held - first)]), low, high);
  };
  const int64_t samples = static_cast<int64_t>(added) * frame_;
  std::vector<double> hz(static_cast<std::size_t>(samples)), sums(static_cast<std::size_t>(samples));
  parallel_ranges(pool, added, 2, [&](int64_t from, int64_t to) {
    for (int64_t f = from; f < to; ++f) {
      const int frame = count_ + static_cast<int>(f);
      const double before = log_f0(frame - 1), own = log_f0(frame), after = log_f0(frame + 1);
      for (int i = 0; i < frame_; ++i) {
        // Linear between the centres of frames.
        const double position = (i + 0.5) / frame_;
        const double log_pitch = position < 0.5 ? before + (own - before) * (position + 0.5)
                                                : own + (after - own) * (position - 0.5);
        hz[static_cast<std::size_t>(f * frame_ + i)] = kMiddleHz * std::exp(log_pitch);
      }
    }
  });
  for (std::size_t i = 0; i < hz.size(); ++i) {
    sum_ += hz[i];
    sums[i] = sum_;
  }
  const double turn = kTwoPi / sampling_rate_;
  parallel_ranges(pool, samples, kGrain, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      // Halfway between two frames lies the edge of a voiced stretch, so that every frame is one or the other.
      const bool voiced = pitches[2 * (count_ - first + i / frame_) + 1] > 0.0f;
      const auto at = static_cast<std::size_t>(i);
      pulses[i] = voiced ? pulse_at(sums[at] * turn, hz[at], sampling_rate_) : 0.0f;
    }
  });
  count_ = end;
}

void white_noise(ThreadPool& pool, int64_t start, int64_t count, float* noise) {
  const float scale = static_cast<float>(std::sqrt(12.0));
  parallel_ranges(pool, count, 4 * kGrain, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      // The finalizer of splitmix64 on the sample's index.
      uint64_t x = static_cast<uint64_t>(start + i + 1) * 0x9E3779B97F4A7C15u;
      x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
      x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
      x ^= x >> 31;
      const float unit = static_cast<float>(x >> 40) * 0x1p-24f;
      noise[i] = (unit - 0.5f) * scale;
    }
  });
}

}  // namespace ob

#include "codec_logmel.h"

#include <cmath>

namespace ob {
namespace {

// As in openbark/backends/torch/convnext.py.
constexpr float kFloor = 1e-4f;
constexpr float kShift = 4.0f, kScale = 3.0f;

}  // namespace

LogMel::LogMel(Description& description)
    : hop_(description.size()),
      subframes_(description.size()),
      n_mels_(description.size()),
      fft_(description.size()),
      window_(description.copy(fft_.size())),
      bank_(description.copy(static_cast<int64_t>(n_mels_) * fft_.bins())) {
  for (int m = 0; m < n_mels_; ++m) {
    const float* filter = bank_.data() + static_cast<int64_t>(m) * fft_.bins();
    Band band{0, fft_.bins()};
    while (band.first < band.last && filter[band.first] == 0.0f) ++band.first;
    while (band.last > band.first && filter[band.last - 1] == 0.0f) --band.last;
    bands_.push_back(band);
  }
}

int LogMel::frames(int64_t length) const {
  const int64_t frame = static_cast<int64_t>(hop_) * subframes_;
  return static_cast<int>((length + frame - 1) / frame);
}

// Sub-frames [first, first + count), count at most the lanes of the transform.
void LogMel::group(const float* waveform, int64_t length, int64_t first, int count, float* scratch,
                   float* out) const {
  const int n_fft = fft_.size(), bins = fft_.bins();
  float* signal = scratch;
  float* re = signal + n_fft * kFftLanes;
  float* im = re + bins * kFftLanes;
  std::fill_n(signal, n_fft * kFftLanes, 0.0f);
  for (int lane = 0; lane < count; ++lane) {
    const int64_t start = (first + lane) * hop_ + hop_ / 2 - n_fft / 2;
    const int64_t from = std::max<int64_t>(0, -start);
    const int64_t to = std::min<int64_t>(n_fft, length - start);
    for (int64_t n = from; n < to; ++n)
      signal[n * kFftLanes + lane] = waveform[start + n] * window_[static_cast<std::size_t>(n)];
  }
  fft_.forward(signal, re, im, im + bins * kFftLanes);
  for (int i = 0; i < bins * kFftLanes; ++i) re[i] = std::sqrt(re[i] * re[i] + im[i] * im[i]);
  for (int m = 0; m < n_mels_; ++m) {
    const Band band = bands_[static_cast<std::size_t>(m)];
    const float* filter = bank_.data() + static_cast<int64_t>(m) * bins;
    float sums[kFftLanes] = {};
    for (int bin = band.first; bin < band.last; ++bin)
      for (int lane = 0; lane < kFftLanes; ++lane)
        sums[lane] += filter[bin] * re[bin * kFftLanes + lane];
    for (int lane = 0; lane < count; ++lane)
      out[(first + lane) * n_mels_ + m] =
          (std::log(std::max(sums[lane], kFloor)) + kShift) / kScale;
  }
}

void LogMel::run(ThreadPool& pool, const float* waveform, int64_t length, float* out) const {
  const int64_t subframes = static_cast<int64_t>(frames(length)) * subframes_;
  const int64_t groups = (subframes + kFftLanes - 1) / kFftLanes;
  parallel_ranges(pool, groups, 2, [&](int64_t first, int64_t last) {
    Buffer storage;
    float* scratch = storage.ensure((fft_.size() + 2 * fft_.bins()) * kFftLanes +
                                    fft_.scratch_size());
    for (int64_t g = first; g < last; ++g) {
      const int64_t start = g * kFftLanes;
      group(waveform, length, start,
            static_cast<int>(std::min<int64_t>(kFftLanes, subframes - start)), scratch, out);
    }
  });
}

}  // namespace ob

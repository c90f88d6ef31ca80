// The iSTFT codec (openbark/backends/torch/istft.py says what it computes).
#include <cmath>

#include "codec.h"
#include "codec_convnext.h"
#include "codec_logmel.h"
#include "codec_rvq.h"

namespace ob {
namespace {

// Output samples added up at once.
constexpr int kSamples = 4096;

class IstftDecoder : public Codec {
 public:
  explicit IstftDecoder(Description& description)
      : quantizer_(read_quantizer(description)),
        hop_(description.size()),
        subframes_(description.size()),
        n_bins_(description.size()),
        fft_(description.size()),
        window_(description.copy(fft_.size())),
        stack_(read_sized_stack(description, quantizer_.dim)),
        head_(description.linear(subframes_ * 2 * n_bins_, dim())),
        max_log_magnitude_(std::log(static_cast<float>(fft_.size()) / 2.0f)) {}

  void decode(ThreadPool& pool, const int32_t* codes, int n_codebooks, int frames,
              float* waveform) const override {
    Buffer latent, first, second, spectra, pieces;
    float* z = latent.ensure(static_cast<int64_t>(frames) * quantizer_.dim);
    dequantize(quantizer_, codes, n_codebooks, frames, z);
    const float* hidden = apply_stack(pool, stack_, z, frames, first, second);
    float* heads = spectra.ensure(static_cast<int64_t>(frames) * head_.outputs());
    apply_linear(pool, head_, hidden, dim(), frames, heads);
    const int64_t subframes = static_cast<int64_t>(frames) * subframes_;
    float* signals = pieces.ensure(subframes * fft_.size());
    invert(pool, heads, subframes, signals);
    overlap_add(pool, signals, subframes, waveform);
  }

 private:
  int dim() const { return static_cast<int>(stack_.norm.weight.size()); }

  // Windowed signals [subframes, n_fft] of heads [subframes, 2, n_bins].
  void invert(ThreadPool& pool, const float* heads, int64_t subframes, float* signals) const {
    const int64_t groups = (subframes + kFftLanes - 1) / kFftLanes;
    parallel_ranges(pool, groups, 2, [&](int64_t from, int64_t to) {
      Buffer storage;
      float* scratch = storage.ensure((fft_.size() + 2 * fft_.bins()) * kFftLanes +
                                      fft_.scratch_size());
      for (int64_t g = from; g < to; ++g) {
        const int64_t start = g * kFftLanes;
        const int count = static_cast<int>(std::min<int64_t>(kFftLanes, subframes - start));
        invert_group(heads + start * 2 * n_bins_, count, scratch, signals + start * fft_.size());
      }
    });
  }

  void invert_group(const float* heads, int count, float* scratch, float* signals) const {
    const int n_fft = fft_.size(), bins = fft_.bins();
    float* re = scratch;
    float* im = re + bins * kFftLanes;
    float* signal = im + bins * kFftLanes;
    // Bins above the band limit, and lanes without a sub-frame, are silent.
    std::fill_n(re, 2 * bins * kFftLanes, 0.0f);
    for (int lane = 0; lane < count; ++lane) {
      const float* head = heads + static_cast<int64_t>(lane) * 2 * n_bins_;
      for (int bin = 0; bin < n_bins_; ++bin) {
        const float magnitude = std::exp(std::min(head[bin], max_log_magnitude_));
        const float phase = head[n_bins_ + bin];
        re[bin * kFftLanes + lane] = magnitude * std::cos(phase);
        im[bin * kFftLanes + lane] = magnitude * std::sin(phase);
      }
    }
    fft_.inverse(re, im, signal, signal + n_fft * kFftLanes);
    for (int lane = 0; lane < count; ++lane)
      for (int n = 0; n < n_fft; ++n)
        signals[static_cast<int64_t>(lane) * n_fft + n] =
            signal[n * kFftLanes + lane] * window_[static_cast<std::size_t>(n)];
  }

  // Every sample is the sum of the signals that cover it over the sum of their squared windows.
  void overlap_add(ThreadPool& pool, const float* signals, int64_t subframes,
                   float* waveform) const {
    const int64_t n_fft = fft_.size(), lead = n_fft / 2 - hop_ / 2, total = subframes * hop_;
    parallel_ranges(pool, total, kSamples, [&](int64_t from, int64_t to) {
      std::vector<float> envelope(static_cast<std::size_t>(to - from), 0.0f);
      std::fill(waveform + from, waveform + to, 0.0f);
      const int64_t first = std::max<int64_t>(0, (from + lead - n_fft) / hop_);
      const int64_t last = std::min(subframes, (to + lead) / hop_ + 1);
      for (int64_t s = first; s < last; ++s) {
        const int64_t start = s * hop_ - lead;
        const float* signal = signals + s * n_fft;
        for (int64_t i = std::max(from, start); i < std::min(to, start + n_fft); ++i) {
          const float weight = window_[static_cast<std::size_t>(i - start)];
          waveform[i] += signal[i - start];
          envelope[static_cast<std::size_t>(i - from)] += weight * weight;
        }
      }
      for (int64_t i = from; i < to; ++i)
        waveform[i] /= envelope[static_cast<std::size_t>(i - from)];
    });
  }

  ResidualQuantizer quantizer_;
  int hop_, subframes_, n_bins_;  // hop_ between two synthesis frames
  RealFft fft_;
  std::vector<float> window_;
  ConvNeXtStack stack_;
  Linear head_;
  float max_log_magnitude_;
};

class IstftEncoder : public Codec {
 public:
  explicit IstftEncoder(Description& description)
      : quantizer_(read_quantizer(description)),
        features_(description),
        stack_(read_sized_stack(description, features_.features())),
        project_(description.linear(quantizer_.dim, dim())) {}

  void encode(ThreadPool& pool, const float* waveform, int64_t length, int n_codebooks,
              int32_t* codes) const override {
    const int frames = features_.frames(length);
    Buffer mel, first, second, latent;
    float* x = mel.ensure(static_cast<int64_t>(frames) * features_.features());
    features_.run(pool, waveform, length, x);
    const float* hidden = apply_stack(pool, stack_, x, frames, first, second);
    float* z = latent.ensure(static_cast<int64_t>(frames) * quantizer_.dim);
    apply_linear(pool, project_, hidden, dim(), frames, z);
    quantize(pool, quantizer_, z, n_codebooks, frames, codes);
  }

 private:
  int dim() const { return static_cast<int>(stack_.norm.weight.size()); }

  ResidualQuantizer quantizer_;
  LogMel features_;
  ConvNeXtStack stack_;
  Linear project_;
};

}  // namespace

std::unique_ptr<Codec> make_istft_decoder(Description& description) {
  return std::make_unique<IstftDecoder>(description);
}

std::unique_ptr<Codec> make_istft_encoder(Description& description) {
  return std::make_unique<IstftEncoder>(description);
}

}  // namespace ob

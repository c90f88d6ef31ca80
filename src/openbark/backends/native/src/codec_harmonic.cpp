// The harmonic codec (openbark/backends/torch/harmonic.py says what it computes).
//
// A minimum-phase filter's logarithm, magnitude and phase, is linear in the log gains of its bands, so that one
// matrix gives both. The whole clip is decoded as a stream that gets all codes at once.
#include <cmath>

#include "codec.h"
#include "codec_convnext.h"
#include "codec_kernels.h"
#include "codec_logmel.h"
#include "codec_recent_rows.h"
#include "codec_rvq.h"
#include "codec_sources.h"

namespace ob {
namespace {

// Output samples added up at once.
constexpr int kSamples = 4096;
// As in openbark/backends/torch/harmonic.py: exp of it is louder than full scale.
constexpr float kMostLogGain = 6.0f;
constexpr float kFloor = 1e-4f, kPitchScale = 2.0f;

int divide_up(int value, int divisor) { return (value + divisor - 1) / divisor; }

// Frames that a frame depends on; the same as harmonic_reach in openbark/backends/codec_stream.py.
struct HarmonicReach {
  int pitch = 0;         // on either side
  int left = 0, right = 0;  // of codes
  int sources_left = 0, sources_right = 0;
};

// Controls of consecutive frames: gains [frames * subframes, 2, n_bands], pitches [frames, 2].
struct Controls {
  Buffer gains, pitches;
};

class HarmonicDecoder : public Codec {
 public:
  explicit HarmonicDecoder(Description& description)
      : quantizer_(read_quantizer(description)),
        sampling_rate_(description.size()),
        hop_(description.size()),
        subframes_(description.size()),
        n_bands_(description.size()),
        fft_(description.size()),
        window_(description.copy(2 * hop_)),
        response_(description.linear(2 * fft_.bins(), n_bands_)),
        stack_(read_sized_stack(description, quantizer_.dim)),
        pitch_head_(description.linear(2, dim())) {
    if (hop_ < 2 || hop_ % 2 != 0 || 2 * hop_ >= fft_.size() || subframes_ < 1)
      throw std::invalid_argument("codec: these filter frames do not fit the FFT size");
    const int width = description.size(), layers = description.size();
    const int mlp_ratio = description.size(), kernel = description.size();
    expand_ = description.linear(subframes_ * width, dim());
    for (int i = 0; i < layers; ++i)
      filters_.push_back(read_convnext_block(description, width, width * mlp_ratio, kernel));
    filter_norm_ = read_layer_norm(description, width);
    filter_head_ = description.linear(2 * n_bands_, width);
    reach_ = reach(kernel / 2);
  }

  void decode(ThreadPool& pool, const int32_t* codes, int n_codebooks, int frames,
              float* waveform) const override {
    stream()->push(pool, codes, n_codebooks, frames, true, waveform);
  }

  std::unique_ptr<CodecStream> stream() const override;

 private:
  friend class HarmonicStream;

  int dim() const { return static_cast<int>(stack_.norm.weight.size()); }
  int frame() const { return hop_ * subframes_; }

  HarmonicReach reach(int half) const {
    const int network = (static_cast<int>(stack_.blocks.size()) + 1) * half;
    const int convolved = static_cast<int>(filters_.size()) * half;
    const int earlier = divide_up(fft_.size() - hop_ / 2, hop_) - 1;
    HarmonicReach found;
    found.pitch = network;
    found.sources_left = divide_up(earlier * hop_ + hop_ / 2, frame());
    found.sources_right = divide_up(hop_ + hop_ / 2, frame());
    found.left = network + std::max(divide_up(earlier + convolved, subframes_), found.sources_left);
    found.right =
        network + std::max(divide_up(1 + convolved, subframes_), found.sources_right + 1);
    return found;
  }

  void control(ThreadPool& pool, const float* latent, int frames, Controls& controls) const {
    Buffer first, second, fine, next;
    const float* hidden = apply_stack(pool, stack_, latent, frames, first, second);
    float* pitches = controls.pitches.ensure(2 * static_cast<int64_t>(frames));
    apply_linear(pool, pitch_head_, hidden, dim(), frames, pitches);
    const int count = frames * subframes_;
    const int width = static_cast<int>(filter_norm_.weight.size());
    float* x = fine.ensure(static_cast<int64_t>(count) * width);
    float* y = next.ensure(static_cast<int64_t>(count) * width);
    apply_linear(pool, expand_, hidden, dim(), frames, x);
    for (const ConvNeXtBlock& block : filters_) {
      apply_block(pool, block, x, count, y);
      std::swap(x, y);
    }
    apply_layer_norm(pool, filter_norm_, count, x);
    const int64_t size = static_cast<int64_t>(count) * filter_head_.outputs();
    float* gains = controls.gains.ensure(size);
    apply_linear(pool, filter_head_, x, width, count, gains);
    for (int64_t i = 0; i < size; ++i) gains[i] = std::min(gains[i], kMostLogGain);
  }

  // The two sources [count * hop] through the filters of `count` frames of gains: signals [count, n_fft].
  void filter(ThreadPool& pool, const float* gains, const float* pulses, const float* noise,
              int64_t count, float* signals) const {
    const int64_t groups = (count + kFftLanes - 1) / kFftLanes;
    const int64_t bins = fft_.bins(), spectrum = bins * kFftLanes;
    const int64_t room = fft_.size() * kFftLanes + 4 * spectrum + 4 * spectrum + fft_.scratch_size();
    parallel_ranges(pool, groups, 1, [&](int64_t from, int64_t to) {
      Buffer storage;
      float* scratch = storage.ensure(room);
      for (int64_t g = from; g < to; ++g) filter_group(pool, gains, pulses, noise, count, g, scratch, signals);
    });
  }

  void filter_group(ThreadPool& pool, const float* gains, const float* pulses, const float* noise,
                    int64_t count, int64_t group, float* scratch, float* signals) const {
    const int n_fft = fft_.size();
    const int64_t first = group * kFftLanes, spectrum = static_cast<int64_t>(fft_.bins()) * kFftLanes;
    const int lanes = static_cast<int>(std::min<int64_t>(kFftLanes, count - first));
    float* signal = scratch;
    float* sum_re = signal + n_fft * kFftLanes;
    float* sum_im = sum_re + spectrum;
    float* rest = sum_im + spectrum;
    std::fill_n(sum_re, 2 * spectrum, 0.0f);
    const float* rows = gains + first * 2 * n_bands_;
    add_filtered(pool, rows, pulses, first, lanes, count, signal, rest, sum_re, sum_im);
    add_filtered(pool, rows + n_bands_, noise, first, lanes, count, signal, rest, sum_re, sum_im);
    fft_.inverse(sum_re, sum_im, signal, rest);
    for (int lane = 0; lane < lanes; ++lane)
      for (int n = 0; n < n_fft; ++n)
        signals[(first + lane) * n_fft + n] = signal[n * kFftLanes + lane];
  }

  // Adds the spectra of the windowed source, filtered, of the filter frames [first, first + lanes).
  void add_filtered(ThreadPool& pool, const float* gains, const float* source, int64_t first,
                    int lanes, int64_t count, float* signal, float* scratch, float* sum_re,
                    float* sum_im) const {
    const int64_t bins = fft_.bins(), spectrum = bins * kFftLanes, length = count * hop_;
    float* re = scratch;
    float* im = re + spectrum;
    float* logs = im + spectrum;  // [lanes][log magnitude, phase][bins], then [lanes][re, im][bins]
    std::fill_n(signal, static_cast<int64_t>(fft_.size()) * kFftLanes, 0.0f);
    for (int lane = 0; lane < lanes; ++lane) {
      const int64_t start = (first + lane) * hop_ - hop_ / 2;
      const int64_t from = std::max<int64_t>(0, -start);
      const int64_t to = std::min<int64_t>(2 * hop_, length - start);
      for (int64_t n = from; n < to; ++n)
        signal[n * kFftLanes + lane] = source[start + n] * window_[static_cast<std::size_t>(n)];
    }
    // The response needs the scratch of the transform afterwards, and the transform writes re and im first.
    fft_.forward(signal, re, im, logs);
    response_.apply(pool.kernels(), gains, 2 * n_bands_, lanes, logs, 2 * bins);
    float* response = logs + 2 * spectrum;
    const CodecKernels& kernels = codec_kernels(pool.kernels().isa);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const float* row = logs + lane * 2 * bins;
      float* h_re = response;
      float* h_im = response + bins;
      kernels.polar(row, row + bins, h_re, h_im, bins);
      for (int64_t bin = 0; bin < bins; ++bin) {
        const int64_t at = bin * kFftLanes + lane;
        sum_re[at] += re[at] * h_re[bin] - im[at] * h_im[bin];
        sum_im[at] += re[at] * h_im[bin] + im[at] * h_re[bin];
      }
    }
  }

  // Samples [begin, end), counted from the first filter frame's, as the sum of the signals that cover them.
  void overlap_add(ThreadPool& pool, const float* signals, int64_t count, int64_t begin, int64_t end,
                   float* waveform) const {
    const int64_t n_fft = fft_.size(), lead = hop_ / 2;
    parallel_ranges(pool, end - begin, kSamples, [&](int64_t from, int64_t to) {
      from += begin, to += begin;
      std::fill(waveform + from - begin, waveform + to - begin, 0.0f);
      const int64_t first = std::max<int64_t>(0, (from + lead - n_fft) / hop_);
      const int64_t last = std::min(count, (to + lead) / hop_ + 1);
      for (int64_t s = first; s < last; ++s) {
        const int64_t start = s * hop_ - lead;
        const float* signal = signals + s * n_fft - start;
        for (int64_t i = std::max(from, start); i < std::min(to, start + n_fft); ++i)
          waveform[i - begin] += signal[i];
      }
    });
  }

  ResidualQuantizer quantizer_;
  int sampling_rate_, hop_, subframes_, n_bands_;  // hop_ between two filter frames
  RealFft fft_;
  std::vector<float> window_;
  Linear response_;  // log gains to [log magnitude, phase][bins]
  ConvNeXtStack stack_;
  Linear pitch_head_, expand_;
  std::vector<ConvNeXtBlock> filters_;
  LayerNorm filter_norm_;
  Linear filter_head_;
  HarmonicReach reach_;
};

// The decoder on frames that arrive in pieces. The controls of a stretch are computed with all codes that they
// depend on; pulses are made once for every sample, from pitches that no later code changes.
class HarmonicStream : public CodecStream {
 public:
  explicit HarmonicStream(const HarmonicDecoder& decoder)
      : decoder_(decoder), reach_(decoder.reach_), latent_(decoder.quantizer_.dim),
        pulses_(decoder.frame()), train_(decoder.frame(), decoder.sampling_rate_) {}

  int push(ThreadPool& pool, const int32_t* codes, int n_codebooks, int frames, bool last,
           float* waveform) override {
    if (frames > 0)
      dequantize(decoder_.quantizer_, codes, n_codebooks, frames, latent_.append(frames));
    const int total = latent_.count(), ready = last ? total : total - reach_.right;
    if (ready <= done_) return 0;
    const int begin = std::max(0, done_ - reach_.left);
    decoder_.control(pool, latent_.row(begin), total - begin, controls_);
    add_pulses(pool, begin, last ? total : total - reach_.pitch - 1, total);
    synthesise(pool, begin, ready, total, waveform);
    const int count = ready - done_;
    done_ = ready;
    latent_.forget_before(ready - reach_.left);
    pulses_.forget_before(ready - reach_.sources_left);
    return count;
  }

 private:
  void add_pulses(ThreadPool& pool, int begin, int end, int total) {
    const float* pitches = controls_.pitches.ensure(0) + 2 * (train_.first_read() - begin);
    float* pulses = pulses_.append(end - train_.count());
    train_.extend(pool, pitches, end, total, pulses);
  }

  // Samples of the frames [done_, ready).
  void synthesise(ThreadPool& pool, int begin, int ready, int total, float* waveform) {
    const int first = std::max(0, done_ - reach_.sources_left);
    const int end = std::min(total, ready + reach_.sources_right);
    const int64_t frame = decoder_.frame(), length = (end - first) * frame;
    const int64_t count = static_cast<int64_t>(end - first) * decoder_.subframes_;
    float* noise = noise_.ensure(length);
    white_noise(pool, first * frame, length, noise);
    const float* gains = controls_.gains.ensure(0) + static_cast<int64_t>(first - begin) *
                                                         decoder_.subframes_ * 2 * decoder_.n_bands_;
    float* signals = signals_.ensure(count * decoder_.fft_.size());
    decoder_.filter(pool, gains, pulses_.row(first), noise, count, signals);
    decoder_.overlap_add(pool, signals, count, (done_ - first) * frame, (ready - first) * frame,
                         waveform);
  }

  const HarmonicDecoder& decoder_;
  const HarmonicReach reach_;
  RecentRows latent_, pulses_;
  PulseTrain train_;
  Controls controls_;
  Buffer noise_, signals_;
  int done_ = 0;
};

std::unique_ptr<CodecStream> HarmonicDecoder::stream() const {
  return std::make_unique<HarmonicStream>(*this);
}

// The low end of a long spectrum, in which harmonics stand apart.
class PitchSpectrum {
 public:
  explicit PitchSpectrum(Description& description)
      : hop_(description.size()),
        first_(description.size()),
        bins_(description.size()),
        fft_(description.size()),
        window_(description.copy(fft_.size())) {
    if (first_ < 0 || bins_ < 1 || first_ > fft_.bins() - bins_)
      throw std::invalid_argument("codec: the spectrum has no such pitch bins");
  }

  int bins() const { return bins_; }

  // Log magnitudes less their mean, halved: out [frames, bins], `stride` floats apart.
  void run(ThreadPool& pool, const float* waveform, int64_t length, int frames, float* out,
           int64_t stride) const {
    parallel_ranges(pool, divide_up(frames, kFftLanes), 1, [&](int64_t from, int64_t to) {
      Buffer storage;
      float* scratch = storage.ensure((fft_.size() + 2 * fft_.bins()) * kFftLanes + fft_.scratch_size());
      for (int64_t f = from * kFftLanes; f < std::min<int64_t>(frames, to * kFftLanes); f += kFftLanes)
        group(waveform, length, f, static_cast<int>(std::min<int64_t>(kFftLanes, frames - f)),
              scratch, out + f * stride, stride);
    });
  }

 private:
  // Frames [first, first + count), count at most the lanes of the transform.
  void group(const float* waveform, int64_t length, int64_t first, int count, float* scratch,
             float* out, int64_t stride) const {
    const int n_fft = fft_.size();
    float* signal = scratch;
    float* re = signal + n_fft * kFftLanes;
    float* im = re + fft_.bins() * kFftLanes;
    load_windows(waveform, length, first, count, signal);
    fft_.forward(signal, re, im, im + fft_.bins() * kFftLanes);
    for (int lane = 0; lane < count; ++lane) {
      float* row = out + lane * stride;
      double sum = 0.0;
      for (int i = 0; i < bins_; ++i) {
        const int at = (first_ + i) * kFftLanes + lane;
        const float magnitude = std::sqrt(re[at] * re[at] + im[at] * im[at]);
        row[i] = std::log(std::max(magnitude, kFloor));
        sum += static_cast<double>(row[i]);
      }
      const float mean = static_cast<float>(sum / bins_);
      for (int i = 0; i < bins_; ++i) row[i] = (row[i] - mean) / kPitchScale;
    }
  }

  // The window of frame f is centred on sample f * hop + hop / 2; zeros lie outside the waveform.
  void load_windows(const float* waveform, int64_t length, int64_t first, int count,
                    float* signal) const {
    const int n_fft = fft_.size();
    std::fill_n(signal, static_cast<int64_t>(n_fft) * kFftLanes, 0.0f);
    for (int lane = 0; lane < count; ++lane) {
      const int64_t start = (first + lane) * hop_ + hop_ / 2 - n_fft / 2;
      const int64_t from = std::max<int64_t>(0, -start);
      const int64_t to = std::min<int64_t>(n_fft, length - start);
      for (int64_t n = from; n < to; ++n)
        signal[n * kFftLanes + lane] = waveform[start + n] * window_[static_cast<std::size_t>(n)];
    }
  }

  int hop_, first_, bins_;
  RealFft fft_;
  std::vector<float> window_;
};

class HarmonicEncoder : public Codec {
 public:
  explicit HarmonicEncoder(Description& description)
      : quantizer_(read_quantizer(description)),
        mel_(description),
        pitch_(description),
        stack_(read_sized_stack(description, mel_.features() + pitch_.bins())),
        project_(description.linear(quantizer_.dim, dim())) {}

  void encode(ThreadPool& pool, const float* waveform, int64_t length, int n_codebooks,
              int32_t* codes) const override {
    const int frames = mel_.frames(length);
    const int64_t mels = mel_.features(), features = mels + pitch_.bins();
    Buffer mel, both, first, second, latent;
    float* bands = mel.ensure(frames * mels);
    mel_.run(pool, waveform, length, bands);
    float* x = both.ensure(frames * features);
    for (int64_t f = 0; f < frames; ++f) std::copy_n(bands + f * mels, mels, x + f * features);
    pitch_.run(pool, waveform, length, frames, x + mels, features);
    const float* hidden = apply_stack(pool, stack_, x, frames, first, second);
    float* z = latent.ensure(static_cast<int64_t>(frames) * quantizer_.dim);
    apply_linear(pool, project_, hidden, dim(), frames, z);
    quantize(pool, quantizer_, z, n_codebooks, frames, codes);
  }

 private:
  int dim() const { return static_cast<int>(stack_.norm.weight.size()); }

  ResidualQuantizer quantizer_;
  LogMel mel_;
  PitchSpectrum pitch_;
  ConvNeXtStack stack_;
  Linear project_;
};

}  // namespace

std::unique_ptr<Codec> make_harmonic_decoder(Description& description) {
  return std::make_unique<HarmonicDecoder>(description);
}

std::unique_ptr<Codec> make_harmonic_encoder(Description& description) {
  return std::make_unique<HarmonicEncoder>(description);
}

}  // namespace ob

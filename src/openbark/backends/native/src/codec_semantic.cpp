// Waveform to semantic tokens (openbark/backends/torch/semantic_encoder.py says what it computes).
#include <cmath>

#include "codec.h"
#include "codec_convnext.h"
#include "codec_logmel.h"

namespace ob {
namespace {

constexpr double kVarianceFloor = 1e-5;

int first_maximum(const float* values, int count) {
  return static_cast<int>(std::max_element(values, values + count) - values);
}

class SemanticEncoder : public Codec {
 public:
  explicit SemanticEncoder(Description& description) : features_(description) {
    dim_ = description.size();
    const int lower = description.size(), upper = description.size();
    const int mlp_ratio = description.size(), kernel = description.size();
    const int n_units = description.size(), n_pitches = description.size();
    lower_ = read_convnext_stack(description, features_.features(), dim_, lower, mlp_ratio, kernel);
    summary_ = description.linear(dim_, 2 * dim_);
    for (int i = 0; i < upper; ++i)
      upper_.push_back(read_convnext_block(description, dim_, dim_ * mlp_ratio, kernel));
    final_norm_ = read_layer_norm(description, dim_);
    units_ = description.linear(n_units, dim_);
    pitches_ = description.linear(n_pitches, dim_);
  }

  void encode(ThreadPool& pool, const float* waveform, int64_t length, int /*n_codebooks*/,
              int32_t* tokens) const override {
    const int frames = features_.frames(length);
    Buffer mel, first, second, scores;
    float* features = mel.ensure(static_cast<int64_t>(frames) * features_.features());
    features_.run(pool, waveform, length, features);
    float* x = apply_stack(pool, lower_, features, frames, first, second);
    float* next = x == first.ensure(0) ? second.ensure(0) : first.ensure(0);
    add_summary(pool, frames, x);
    for (const ConvNeXtBlock& block : upper_) {
      apply_block(pool, block, x, frames, next);
      std::swap(x, next);
    }
    apply_layer_norm(pool, final_norm_, frames, x);
    const int n_units = units_.outputs(), n_pitches = pitches_.outputs();
    float* units = scores.ensure(static_cast<int64_t>(frames) * (n_units + n_pitches));
    float* pitches = units + static_cast<int64_t>(frames) * n_units;
    apply_linear(pool, units_, x, dim_, frames, units);
    apply_linear(pool, pitches_, x, dim_, frames, pitches);
    for (int64_t t = 0; t < frames; ++t)
      tokens[t] = first_maximum(units + t * n_units, n_units) * n_pitches +
                  first_maximum(pitches + t * n_pitches, n_pitches);
  }

 private:
  // Adds to every row what a linear map makes of the mean and the deviation of all rows.
  void add_summary(ThreadPool& pool, int frames, float* x) const {
    std::vector<float> statistics(2 * static_cast<std::size_t>(dim_));
    for (int c = 0; c < dim_; ++c) {
      double sum = 0.0, squares = 0.0;
      for (int64_t t = 0; t < frames; ++t) sum += static_cast<double>(x[t * dim_ + c]);
      const double mean = sum / frames;
      for (int64_t t = 0; t < frames; ++t) {
        const double centred = static_cast<double>(x[t * dim_ + c]) - mean;
        squares += centred * centred;
      }
      statistics[static_cast<std::size_t>(c)] = static_cast<float>(mean);
      statistics[static_cast<std::size_t>(dim_ + c)] =
          static_cast<float>(std::sqrt(squares / frames + kVarianceFloor));
    }
    std::vector<float> summary(static_cast<std::size_t>(dim_));
    summary_.apply(pool.kernels(), statistics.data(), 2 * dim_, 1, summary.data(), dim_);
    for (int64_t t = 0; t < frames; ++t)
      for (int c = 0; c < dim_; ++c) x[t * dim_ + c] += summary[static_cast<std::size_t>(c)];
  }

  LogMel features_;
  int dim_ = 0;
  ConvNeXtStack lower_;
  Linear summary_;
  std::vector<ConvNeXtBlock> upper_;
  LayerNorm final_norm_;
  Linear units_, pitches_;
};

}  // namespace

std::unique_ptr<Codec> make_semantic_encoder(Description& description) {
  return std::make_unique<SemanticEncoder>(description);
}

}  // namespace ob

// EnCodec (arXiv 2210.13438), both directions.
//
// The LSTM runs over the whole sequence at frame rate. The convolutions on its far side, where one
// frame is hundreds of samples, run on stretches of frames: each thread takes one stretch through all
// layers, so that the wide sequences stay in its cache and never exist as a whole. A stretch is
// computed with as many frames around it as its layers can see; these are dropped, which makes the
// result the same as in one piece.
#include <cstring>

#include "codec.h"
#include "codec_recent_rows.h"
#include "codec_rvq.h"
#include "codec_seanet.h"

namespace ob {
namespace {

// Output steps worth a piece of work for another thread, at frame rate.
constexpr int kGrain = 12;

ResidualQuantizer read_quantizer(Description& description, int dim) {
  ResidualQuantizer quantizer;
  quantizer.dim = dim;
  quantizer.size = description.size();
  const int count = description.size();
  for (int k = 0; k < count; ++k)
    quantizer.tables.push_back(description.array(static_cast<int64_t>(quantizer.size) * dim));
  return quantizer;
}

// A whole sequence at frame rate through one convolution, the steps shared by the threads.
void convolve_parallel(ThreadPool& pool, const Convolution& conv, bool elu, const float* x,
                       int length, float* y) {
  const Kernels& kernels = pool.kernels();
  ConvWorkspace workspace;
  if (!conv.norm.weight.empty() || conv.dilation > 1) {
    convolve(kernels, conv, elu, x, length, workspace, y);
    return;
  }
  const float* padded = pad_input(kernels, conv, elu, x, length, workspace.padded);
  parallel_ranges(pool, conv.output_length(length), kGrain, [&](int64_t first, int64_t last) {
    convolve_steps(kernels, conv, padded, static_cast<int>(first), static_cast<int>(last),
                   workspace.columns, y);
  });
}

// Calls body(first, last, begin, end, worker) for stretches [first, last) of the frames, [begin, end)
// being the stretch with its halo.
template <class Body>
void for_stretches(ThreadPool& pool, int frames, int halo, bool whole, Body&& body) {
  const int count = whole ? 1 : stretch_count(frames, halo, pool.size());
  pool.parallel(count, [&](int index, int worker) {
    const int first = static_cast<int>(static_cast<int64_t>(frames) * index / count);
    const int last = static_cast<int>(static_cast<int64_t>(frames) * (index + 1) / count);
    body(first, last, std::max(0, first - halo), std::min(frames, last + halo), worker);
  });
}

class EncodecDecoder : public Codec {
 public:
  explicit EncodecDecoder(Description& description)
      : sizes_(description), quantizer_(read_quantizer(description, sizes_.hidden)) {
    int width = sizes_.widest();
    first_ = read_convolution(description, sizes_, sizes_.hidden, width, sizes_.kernel);
    lstm_ = read_lstm(description, sizes_, width);
    for (std::size_t i = 0; i < sizes_.ratios.size(); ++i) {
      UpStage stage;
      stage.up = read_transposed(description, sizes_, width, width / 2, sizes_.ratios[i],
                                 sizes_.trims[i]);
      width /= 2;
      stage.blocks = read_blocks(description, sizes_, width);
      stages_.push_back(std::move(stage));
    }
    last_ = read_convolution(description, sizes_, width, 1, sizes_.last_kernel);
    Reach reach = reach_before(last_, Reach{});
    for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage)
      reach = reach_before(stage->up, reach_before(stage->blocks, reach));
    reach_ = reach;
    halo_ = std::max(reach.left, reach.right);
  }

  std::unique_ptr<CodecStream> stream() const override;

  void decode(ThreadPool& pool, const int32_t* codes, int n_codebooks, int frames,
              float* waveform) const override {
    const int width = sizes_.widest();
    Buffer latent, wide;
    float* z = latent.ensure(static_cast<int64_t>(frames) * sizes_.hidden);
    dequantize(quantizer_, codes, n_codebooks, frames, z);
    float* x = wide.ensure(static_cast<int64_t>(frames) * width);
    convolve_parallel(pool, first_, false, z, frames, x);
    std::vector<LstmState> states;
    run_lstm(pool, lstm_, frames, x, states);
    render(pool, x, frames, waveform);
  }

 private:
  friend class EncodecStream;

  // The far side of the LSTM: waveform [frames * hop] of x [frames, width].
  void render(ThreadPool& pool, const float* x, int frames, float* waveform) const {
    const int width = sizes_.widest(), hop = sizes_.hop();
    std::vector<Sequence> sequences(static_cast<std::size_t>(pool.size()));
    const Kernels& kernels = pool.kernels();
    for_stretches(pool, frames, halo_, sizes_.group_norm,
                  [&](int first, int last, int begin, int end, int worker) {
      Sequence& sequence = sequences[static_cast<std::size_t>(worker)];
      sequence.start(x + static_cast<int64_t>(begin) * width, end - begin);
      for (const UpStage& stage : stages_) {
        sequence.apply(kernels, stage.up);
        for (const ResidualBlock& block : stage.blocks) sequence.apply(kernels, block);
      }
      sequence.apply(kernels, last_, true);
      std::memcpy(waveform + static_cast<int64_t>(first) * hop,
                  sequence.data + static_cast<int64_t>(first - begin) * hop,
                  static_cast<std::size_t>(last - first) * static_cast<std::size_t>(hop) *
                      sizeof(float));
    });
  }

  SeanetSizes sizes_;
  ResidualQuantizer quantizer_;
  Convolution first_, last_;
  ResidualLstm lstm_;
  std::vector<UpStage> stages_;
  Reach reach_;  // of the far side, in frames
  int halo_ = 0;
};

// The decoder on frames that arrive in pieces. Of what lies before the LSTM, and of what follows it,
// it keeps as many frames as the convolutions there can see; the LSTM keeps its state. With fewer frames
// than `least` in hand the mirrored steps at the start would come from a sequence that is still to grow.
class EncodecStream : public CodecStream {
 public:
  explicit EncodecStream(const EncodecDecoder& decoder)
      : decoder_(decoder), latent_(decoder.sizes_.hidden), wide_(decoder.sizes_.widest()) {}

  int push(ThreadPool& pool, const int32_t* codes, int n_codebooks, int frames, bool last,
           float* waveform) override {
    if (frames > 0) {
      dequantize(decoder_.quantizer_, codes, n_codebooks, frames, latent_.append(frames));
    }
    remember(pool, last);
    return speak(pool, last, waveform);
  }

 private:
  // Frames through the first convolution and the LSTM, as far as they are known.
  void remember(ThreadPool& pool, bool last) {
    const Convolution& conv = decoder_.first_;
    const int done = wide_.count(), total = latent_.count();
    const int ready = last ? total : total - conv.right;
    const bool starting = done == 0 && !last && total < conv.left + 1;
    if (starting || ready <= done) return;
    const int begin = std::max(0, done - conv.left), width = decoder_.sizes_.widest();
    float* y = scratch_.ensure(static_cast<int64_t>(total - begin) * width);
    convolve_parallel(pool, conv, false, latent_.row(begin), total - begin, y);
    float* x = wide_.append(ready - done);
    std::copy_n(y + static_cast<int64_t>(done - begin) * width,
                static_cast<int64_t>(ready - done) * width, x);
    run_lstm(pool, decoder_.lstm_, ready - done, x, states_);
    latent_.forget_before(ready - conv.left);
  }

  int speak(ThreadPool& pool, bool last, float* waveform) {
    const int total = wide_.count(), least = 2 * decoder_.halo_ + 2;
    const int ready = last ? total : total - decoder_.reach_.right;
    const bool starting = spoken_ == 0 && !last && total < least;
    if (starting || ready <= spoken_) return 0;
    const int begin = std::max(0, spoken_ - decoder_.reach_.left), hop = decoder_.sizes_.hop();
    float* samples = scratch_.ensure(static_cast<int64_t>(total - begin) * hop);
    decoder_.render(pool, wide_.row(begin), total - begin, samples);
    const int count = ready - spoken_;
    std::copy_n(samples + static_cast<int64_t>(spoken_ - begin) * hop,
                static_cast<int64_t>(count) * hop, waveform);
    spoken_ = ready;
    wide_.forget_before(ready - decoder_.reach_.left);
    return count;
  }

  const EncodecDecoder& decoder_;
  RecentRows latent_, wide_;
  std::vector<LstmState> states_;
  Buffer scratch_;
  int spoken_ = 0;
};

std::unique_ptr<CodecStream> EncodecDecoder::stream() const {
  if (sizes_.group_norm) return Codec::stream();
  return std::make_unique<EncodecStream>(*this);
}

class EncodecEncoder : public Codec {
 public:
  explicit EncodecEncoder(Description& description)
      : sizes_(description), quantizer_(read_quantizer(description, sizes_.hidden)) {
    int width = sizes_.filters;
    first_ = read_convolution(description, sizes_, 1, width, sizes_.kernel);
    for (auto ratio = sizes_.ratios.rbegin(); ratio != sizes_.ratios.rend(); ++ratio) {
      DownStage stage;
      stage.blocks = read_blocks(description, sizes_, width);
      stage.down = read_convolution(description, sizes_, width, 2 * width, 2 * *ratio, *ratio);
      stages_.push_back(std::move(stage));
      width *= 2;
    }
    lstm_ = read_lstm(description, sizes_, width);
    last_ = read_convolution(description, sizes_, width, sizes_.hidden, sizes_.last_kernel);
    Reach reach;
    for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage)
      reach = reach_before(stage->blocks, reach_before(stage->down, reach));
    reach = reach_before(first_, reach);
    halo_ = (std::max(reach.left, reach.right) + sizes_.hop() - 1) / sizes_.hop();
  }

  void encode(ThreadPool& pool, const float* waveform, int64_t length, int n_codebooks,
              int32_t* codes) const override {
    const int width = sizes_.widest(), hop = sizes_.hop();
    const int frames = static_cast<int>((length + hop - 1) / hop);
    Buffer wide, latent;
    float* x = wide.ensure(static_cast<int64_t>(frames) * width);
    std::vector<Sequence> sequences(static_cast<std::size_t>(pool.size()));
    const Kernels& kernels = pool.kernels();
    for_stretches(pool, frames, halo_, sizes_.group_norm,
                  [&](int first, int last, int begin, int end, int worker) {
      Sequence& sequence = sequences[static_cast<std::size_t>(worker)];
      const int64_t from = static_cast<int64_t>(begin) * hop;
      const int64_t to = std::min(length, static_cast<int64_t>(end) * hop);
      sequence.start(waveform + from, static_cast<int>(to - from));
      sequence.apply(kernels, first_, false);
      for (const DownStage& stage : stages_) {
        for (const ResidualBlock& block : stage.blocks) sequence.apply(kernels, block);
        sequence.apply(kernels, stage.down, true);
      }
      std::memcpy(x + static_cast<int64_t>(first) * width,
                  sequence.data + static_cast<int64_t>(first - begin) * width,
                  static_cast<std::size_t>(last - first) * static_cast<std::size_t>(width) *
                      sizeof(float));
    });
    std::vector<LstmState> states;
    run_lstm(pool, lstm_, frames, x, states);
    float* z = latent.ensure(static_cast<int64_t>(frames) * sizes_.hidden);
    convolve_parallel(pool, last_, true, x, frames, z);
    quantize(pool, quantizer_, z, n_codebooks, frames, codes);
  }

 private:
  SeanetSizes sizes_;
  ResidualQuantizer quantizer_;
  Convolution first_, last_;
  ResidualLstm lstm_;
  std::vector<DownStage> stages_;
  int halo_ = 0;
};

}  // namespace

std::unique_ptr<Codec> make_encodec_decoder(Description& description) {
  return std::make_unique<EncodecDecoder>(description);
}

std::unique_ptr<Codec> make_encodec_encoder(Description& description) {
  return std::make_unique<EncodecEncoder>(description);
}

}  // namespace ob

// The convolutional layers of EnCodec (SEANet) and the stretches of time they are computed in.
#pragma once

#include "codec_description.h"
#include "codec_lstm.h"

namespace ob {

// Steps beyond its own range that a stretch of output depends on.
struct Reach {
  int left = 0, right = 0;
};

struct ResidualBlock {
  Convolution narrow, widen, shortcut;
  bool has_shortcut = false;
};

// One level: the blocks at one rate and the convolution to or from the next slower rate.
struct DownStage {
  std::vector<ResidualBlock> blocks;
  Convolution down;
};

struct UpStage {
  TransposedConvolution up;
  std::vector<ResidualBlock> blocks;
};

// What all layers of one network share.
struct SeanetSizes {
  int hidden, filters, n_residual, kernel, last_kernel, residual_kernel, dilation_growth;
  bool causal;
  PadMode pad_mode;
  int compress, n_lstm;
  bool conv_shortcut, group_norm;
  std::vector<int> ratios, trims;  // of the decoder's order; trims are steps cut on the left

  explicit SeanetSizes(Description& description);
  int hop() const;
  int widest() const { return filters << ratios.size(); }
};

Convolution read_convolution(Description& description, const SeanetSizes& sizes, int inputs,
                             int outputs, int kernel, int stride = 1, int dilation = 1);
TransposedConvolution read_transposed(Description& description, const SeanetSizes& sizes,
                                      int inputs, int outputs, int ratio, int trim);
std::vector<ResidualBlock> read_blocks(Description& description, const SeanetSizes& sizes,
                                       int width);
ResidualLstm read_lstm(Description& description, const SeanetSizes& sizes, int width);

// Two sequences that layers read and write in turn, and their scratch.
class Sequence {
 public:
  ConvWorkspace workspace;

  const float* data = nullptr;  // [length, channels]
  int length = 0;

  void start(const float* x, int steps) {
    data = x;
    length = steps;
  }
  void apply(const Kernels& kernels, const Convolution& conv, bool elu);
  void apply(const Kernels& kernels, const TransposedConvolution& conv);
  void apply(const Kernels& kernels, const ResidualBlock& block);

 private:
  Buffer& other() { return buffers_[turn_ ^= 1]; }

  Buffer buffers_[2], narrow_, shortcut_;
  int turn_ = 0;
};

Reach reach_before(const Convolution& conv, Reach after);
Reach reach_before(const TransposedConvolution& conv, Reach after);
Reach reach_before(const std::vector<ResidualBlock>& blocks, Reach after);

// Number of stretches that `frames` are cut into, when each is computed with `halo` frames more on
// either side.
int stretch_count(int frames, int halo, int threads);

}  // namespace ob

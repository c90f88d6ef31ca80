#include "codec_seanet.h"

namespace ob {
namespace {

// Frames of a stretch: the samples of one fit the second-level cache in a few pieces, and the halo
// that is computed twice is a small part of it.
constexpr int kStretch = 32;
constexpr int kShortestStretch = 8;

}  // namespace

SeanetSizes::SeanetSizes(Description& description) {
  hidden = description.size();
  filters = description.size();
  n_residual = description.size();
  kernel = description.size();
  last_kernel = description.size();
  residual_kernel = description.size();
  dilation_growth = description.size();
  causal = description.size() != 0;
  pad_mode = static_cast<PadMode>(description.size());
  compress = description.size();
  n_lstm = description.size();
  conv_shortcut = description.size() != 0;
  group_norm = description.size() != 0;
  const int count = description.size();
  for (int i = 0; i < count; ++i) {
    ratios.push_back(description.size());
    trims.push_back(description.size());
  }
}

int SeanetSizes::hop() const {
  int product = 1;
  for (const int ratio : ratios) product *= ratio;
  return product;
}

static GroupNorm read_norm(Description& description, const SeanetSizes& sizes, int channels) {
  GroupNorm norm;
  if (sizes.group_norm) {
    norm.weight = description.copy(channels);
    norm.bias = description.copy(channels);
  }
  return norm;
}

Convolution read_convolution(Description& description, const SeanetSizes& sizes, int inputs,
                             int outputs, int kernel, int stride, int dilation) {
  Convolution conv;
  conv.inputs = inputs;
  conv.kernel = kernel;
  conv.stride = stride;
  conv.dilation = dilation;
  // Causal: all of the kernel's overlap lies to the left; otherwise the larger half of it.
  const int overlap = (kernel - 1) * dilation + 1 - stride;
  conv.right = sizes.causal ? 0 : overlap / 2;
  conv.left = overlap - conv.right;
  conv.pad_mode = sizes.pad_mode;
  conv.product = description.linear(outputs, kernel * inputs);
  conv.norm = read_norm(description, sizes, outputs);
  return conv;
}

TransposedConvolution read_transposed(Description& description, const SeanetSizes& sizes,
                                      int inputs, int outputs, int ratio, int trim) {
  TransposedConvolution conv;
  conv.inputs = inputs;
  conv.outputs = outputs;
  conv.kernel = 2 * ratio;
  conv.stride = ratio;
  conv.left = trim;
  conv.product = description.linear(ratio * outputs, conv.taps() * inputs);
  conv.norm = read_norm(description, sizes, outputs);
  return conv;
}

std::vector<ResidualBlock> read_blocks(Description& description, const SeanetSizes& sizes,
                                       int width) {
  std::vector<ResidualBlock> blocks(static_cast<std::size_t>(sizes.n_residual));
  const int narrow = width / sizes.compress;
  int dilation = 1;
  for (ResidualBlock& block : blocks) {
    block.narrow = read_convolution(description, sizes, width, narrow, sizes.residual_kernel, 1,
                                    dilation);
    block.widen = read_convolution(description, sizes, narrow, width, 1);
    block.has_shortcut = sizes.conv_shortcut;
    if (block.has_shortcut) block.shortcut = read_convolution(description, sizes, width, width, 1);
    dilation *= sizes.dilation_growth;
  }
  return blocks;
}

ResidualLstm read_lstm(Description& description, const SeanetSizes& sizes, int width) {
  ResidualLstm lstm;
  lstm.width = width;
  for (int i = 0; i < sizes.n_lstm; ++i) {
    LstmLayer layer;
    layer.input = description.linear(4 * width, width);
    layer.hidden_weight = description.copy(4LL * width * width);
    lstm.layers.push_back(std::move(layer));
  }
  return lstm;
}

void Sequence::apply(const Kernels& kernels, const Convolution& conv, bool elu) {
  const int steps = conv.output_length(length);
  float* y = other().ensure(static_cast<int64_t>(steps) * conv.product.outputs());
  convolve(kernels, conv, elu, data, length, workspace, y);
  start(y, steps);
}

void Sequence::apply(const Kernels& kernels, const TransposedConvolution& conv) {
  start(upsample(kernels, conv, data, length, workspace, other()), length * conv.stride);
}

void Sequence::apply(const Kernels& kernels, const ResidualBlock& block) {
  const int64_t count = static_cast<int64_t>(length) * block.narrow.inputs;
  float* narrow = narrow_.ensure(static_cast<int64_t>(length) * block.widen.inputs);
  float* y = other().ensure(count);
  convolve(kernels, block.narrow, true, data, length, workspace, narrow);
  convolve(kernels, block.widen, true, narrow, length, workspace, y);
  if (!block.has_shortcut) {
    for (int64_t i = 0; i < count; ++i) y[i] += data[i];
  } else if (block.shortcut.norm.weight.empty()) {
    convolve(kernels, block.shortcut, false, data, length, workspace, y, Epilogue::kAdd);
  } else {
    float* shortcut = shortcut_.ensure(count);
    convolve(kernels, block.shortcut, false, data, length, workspace, shortcut);
    for (int64_t i = 0; i < count; ++i) y[i] += shortcut[i];
  }
  start(y, length);
}

Reach reach_before(const Convolution& conv, Reach after) {
  return {after.left * conv.stride + conv.left, after.right * conv.stride + conv.right};
}

Reach reach_before(const TransposedConvolution& conv, Reach after) {
  // Untrimmed step i * stride + j is made of input i and the taps() - 1 before it.
  return {(after.left + conv.kernel - 1 - conv.left) / conv.stride,
          (after.right + conv.left + conv.stride - 1) / conv.stride};
}

Reach reach_before(const std::vector<ResidualBlock>& blocks, Reach after) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block)
    after = reach_before(block->narrow, reach_before(block->widen, after));
  return after;
}

int stretch_count(int frames, int halo, int threads) {
  // No stretch is so short that the mirrored steps at one end of the sequence come from outside it.
  const int shortest = std::max(kShortestStretch, 2 * halo + 2);
  const int longest = std::max(kStretch, shortest);
  const int wanted = std::max((frames + longest - 1) / longest, threads);
  return std::clamp(wanted, 1, std::max(1, frames / shortest));
}

}  // namespace ob

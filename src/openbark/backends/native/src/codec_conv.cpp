#include "codec_conv.h"

#include <cmath>
#include <cstring>

#include "codec_kernels.h"

namespace ob {
namespace {

constexpr double kGroupNormEpsilon = 1e-5;
// Dilated kernels: output steps gathered at once, so that the gathered inputs stay in the cache.
constexpr int kGatheredSteps = 128;

// The step of the input that stands at step `q` of the padded sequence (q < 0 and q >= length are
// padding); -1 for a zero. Reflection needs more steps than it mirrors: a shorter input counts as
// lengthened by `missing` zeros, as EnCodec does it.
int source_step(int q, int length, int missing, PadMode mode) {
  if (q >= 0 && q < length) return q;
  if (mode == PadMode::kConstant) return -1;
  if (mode == PadMode::kReplicate) return q < 0 ? 0 : length - 1;
  const int extended = length + missing;
  const int mirrored = q < 0 ? -q : q < extended ? q : 2 * (extended - 1) - q;
  return mirrored < length ? mirrored : -1;
}

void copy_floats(const float* from, int64_t count, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

void group_norm(const GroupNorm& norm, int64_t steps, int channels, float* y) {
  const int64_t count = steps * channels;
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(y[i]);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double centred = static_cast<double>(y[i]) - mean;
    squares += centred * centred;
  }
  const double variance = squares / static_cast<double>(count);
  const float gain = static_cast<float>(1.0 / std::sqrt(variance + kGroupNormEpsilon));
  const float centre = static_cast<float>(mean);
  const float* weight = norm.weight.data();
  const float* bias = norm.bias.data();
  for (int64_t t = 0; t < steps; ++t)
    for (int c = 0; c < channels; ++c) {
      float& value = y[t * channels + c];
      value = (value - centre) * gain * weight[c] + bias[c];
    }
}

}  // namespace

const float* pad_input(const Kernels& kernels, const Convolution& conv, bool elu, const float* x,
                       int length, Buffer& storage) {
  const int fill = conv.output_length(length) * conv.stride - length;
  const int left = conv.left, right = conv.right + fill;
  if (left + right == 0 && !elu) return x;
  const int64_t width = conv.inputs;
  float* padded = storage.ensure((static_cast<int64_t>(left) + length + right) * width);
  float* inner = padded + left * width;
  if (elu) {
    codec_kernels(kernels.isa).elu(x, inner, length * width);
  } else {
    copy_floats(x, length * width, inner);
  }
  const int missing = std::max(0, std::max(left, right) - length + 1);
  auto fill_step = [&](int q) {
    const int source = source_step(q, length, missing, conv.pad_mode);
    if (source < 0) {
      std::fill_n(inner + q * width, width, 0.0f);
    } else {
      copy_floats(inner + source * width, width, inner + q * width);
    }
  };
  for (int q = -left; q < 0; ++q) fill_step(q);
  for (int q = length; q < length + right; ++q) fill_step(q);
  return padded;
}

void convolve_steps(const Kernels& kernels, const Convolution& conv, const float* padded, int first,
                    int last, Buffer& columns, float* y, Epilogue epilogue) {
  const int64_t width = conv.inputs, hop = conv.stride * width;
  const int outputs = conv.product.outputs();
  if (conv.dilation == 1 || conv.kernel == 1) {
    conv.product.apply(kernels, padded + first * hop, hop, last - first,
                       y + static_cast<int64_t>(first) * outputs, outputs, epilogue);
    return;
  }
  const int64_t row = conv.kernel * width;
  float* gathered = columns.ensure(kGatheredSteps * row);
  for (int start = first; start < last; start += kGatheredSteps) {
    const int count = std::min(kGatheredSteps, last - start);
    for (int64_t t = 0; t < count; ++t)
      for (int64_t tap = 0; tap < conv.kernel; ++tap)
        copy_floats(padded + (start + t) * hop + tap * conv.dilation * width, width,
                    gathered + t * row + tap * width);
    conv.product.apply(kernels, gathered, row, count, y + static_cast<int64_t>(start) * outputs,
                       outputs, epilogue);
  }
}

void convolve(const Kernels& kernels, const Convolution& conv, bool elu, const float* x, int length,
              ConvWorkspace& workspace, float* y, Epilogue epilogue) {
  const float* padded = pad_input(kernels, conv, elu, x, length, workspace.padded);
  const int steps = conv.output_length(length);
  convolve_steps(kernels, conv, padded, 0, steps, workspace.columns, y, epilogue);
  if (!conv.norm.weight.empty()) group_norm(conv.norm, steps, conv.product.outputs(), y);
}

float* upsample(const Kernels& kernels, const TransposedConvolution& conv, const float* x,
                int length, ConvWorkspace& workspace, Buffer& storage) {
  const int taps = conv.taps(), stride = conv.stride;
  const int64_t width = conv.inputs, edge = (taps - 1) * width;
  float* padded = workspace.padded.ensure(length * width + 2 * edge);
  std::fill_n(padded, edge, 0.0f);
  codec_kernels(kernels.isa).elu(x, padded + edge, length * width);
  std::fill_n(padded + edge + length * width, edge, 0.0f);
  // Output row r holds the untrimmed steps [r * stride, (r + 1) * stride). Rows that are trimmed
  // whole are not computed, unless a norm needs their statistics.
  const bool all = !conv.norm.weight.empty();
  const int first = all ? 0 : conv.left / stride;
  const int last = all ? length + taps - 1 : (conv.left + length * stride + stride - 1) / stride;
  const int row = stride * conv.outputs;
  float* y = storage.ensure(static_cast<int64_t>(last - first) * row);
  conv.product.apply(kernels, padded + first * width, width, last - first, y, row);
  if (all) {
    const int64_t steps = static_cast<int64_t>(length - 1) * stride + conv.kernel;
    group_norm(conv.norm, steps, conv.outputs, y);
  }
  return y + static_cast<int64_t>(conv.left - first * stride) * conv.outputs;
}

}  // namespace ob

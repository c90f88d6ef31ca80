#include "codec_conv.h"

#include <cmath>
#include <cstring>

#include "codec_kernels.h"
#include "gemm.h"

namespace ob {
namespace {

// Elements worth a piece of work for another thread.
constexpr int64_t kGrain = 16384;
constexpr float kGroupNormEpsilon = 1e-5f;
// Below this many outputs a matrix kernel is mostly idle and dot products are faster.
constexpr int kFewOutputs = 4;

const CodecKernels& kernels_of(ThreadPool& pool) { return codec_kernels(pool.kernels().isa); }

void copy_or_elu(ThreadPool& pool, bool elu, const float* x, int64_t count, float* y) {
  const CodecKernels& kernels = kernels_of(pool);
  parallel_ranges(pool, count, kGrain, [&](int64_t first, int64_t last) {
    if (elu) {
      kernels.elu(x + first, y + first, last - first);
    } else {
      std::memcpy(y + first, x + first, static_cast<std::size_t>(last - first) * sizeof(float));
    }
  });
}

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

// x with its padding around it; x itself where there is none to add and no activation.
const float* padded_input(ThreadPool& pool, const Convolution& conv, bool elu, const float* x,
                          int length, Buffer& storage) {
  const int fill = conv.output_length(length) * conv.stride - length;
  const int left = conv.left, right = conv.right + fill;
  if (left + right == 0 && !elu) return x;
  const int64_t width = conv.inputs;
  float* padded = storage.ensure((static_cast<int64_t>(left) + length + right) * width);
  float* inner = padded + left * width;
  copy_or_elu(pool, elu, x, length * width, inner);
  const int missing = std::max(0, std::max(left, right) - length + 1);
  const std::size_t bytes = static_cast<std::size_t>(width) * sizeof(float);
  auto fill_step = [&](int q) {
    const int source = source_step(q, length, missing, conv.pad_mode);
    if (source < 0) {
      std::memset(inner + q * width, 0, bytes);
    } else {
      std::memcpy(inner + q * width, inner + source * width, bytes);
    }
  };
  for (int q = -left; q < 0; ++q) fill_step(q);
  for (int q = length; q < length + right; ++q) fill_step(q);
  return padded;
}

// [steps, kernel * inputs] gathered from the padded input, for dilated kernels only.
const float* gather_columns(ThreadPool& pool, const Convolution& conv, const float* padded,
                            int steps, Buffer& storage) {
  const int64_t width = conv.inputs, row = conv.kernel * width;
  float* columns = storage.ensure(steps * row);
  parallel_ranges(pool, steps, kGrain / row, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      for (int tap = 0; tap < conv.kernel; ++tap)
        std::memcpy(columns + t * row + tap * width,
                    padded + (t * conv.stride + static_cast<int64_t>(tap) * conv.dilation) * width,
                    static_cast<std::size_t>(width) * sizeof(float));
  });
  return columns;
}

void few_outputs(ThreadPool& pool, const Convolution& conv, const float* rows, int row_stride,
                 int steps, float* y) {
  const CodecKernels& kernels = kernels_of(pool);
  const int64_t size = static_cast<int64_t>(conv.kernel) * conv.inputs;
  parallel_ranges(pool, steps, kGrain / size, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      for (int o = 0; o < conv.outputs; ++o)
        y[t * conv.outputs + o] =
            kernels.dot(rows + t * row_stride, conv.weight + o * size, size) + conv.bias[o];
  });
}

void group_norm(ThreadPool& pool, const GroupNorm& norm, int64_t steps, int channels, float* y) {
  const int64_t count = steps * channels;
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += y[i];
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (y[i] - mean) * (y[i] - mean);
  const double variance = squares / static_cast<double>(count);
  const float gain = static_cast<float>(1.0 / std::sqrt(variance + kGroupNormEpsilon));
  const float centre = static_cast<float>(mean);
  parallel_ranges(pool, steps, kGrain / channels, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      for (int c = 0; c < channels; ++c) {
        float& value = y[t * channels + c];
        value = (value - centre) * gain * norm.weight[c] + norm.bias[c];
      }
  });
}

}  // namespace

void convolve(ThreadPool& pool, const Convolution& conv, bool elu_first, const float* x, int length,
              ConvWorkspace& workspace, float* y) {
  const int steps = conv.output_length(length);
  const int row = conv.kernel * conv.inputs;
  const float* rows = padded_input(pool, conv, elu_first, x, length, workspace.padded);
  int row_stride = conv.stride * conv.inputs;
  if (conv.dilation > 1 && conv.kernel > 1) {
    rows = gather_columns(pool, conv, rows, steps, workspace.columns);
    row_stride = row;
  }
  if (conv.outputs < kFewOutputs) {
    few_outputs(pool, conv, rows, row_stride, steps, y);
  } else {
    gemm_f32(pool, steps, conv.outputs, row, rows, row_stride, conv.weight, row, conv.bias, y,
             conv.outputs);
  }
  if (conv.norm.weight) group_norm(pool, conv.norm, steps, conv.outputs, y);
}

float* upsample(ThreadPool& pool, const TransposedConvolution& conv, const float* x, int length,
                ConvWorkspace& workspace, Buffer& storage) {
  const int taps = conv.taps(), stride = conv.stride;
  const int64_t width = conv.inputs, edge = (taps - 1) * width;
  float* padded = workspace.padded.ensure(length * width + 2 * edge);
  std::fill(padded, padded + edge, 0.0f);
  copy_or_elu(pool, true, x, length * width, padded + edge);
  std::fill(padded + edge + length * width, padded + 2 * edge + length * width, 0.0f);
  // Output row r holds the untrimmed steps [r * stride, (r + 1) * stride). Rows that are trimmed
  // whole are not computed, unless a norm needs their statistics.
  const bool all = conv.norm.weight != nullptr;
  const int first = all ? 0 : conv.left / stride;
  const int last = all ? length + taps - 1 : (conv.left + length * stride + stride - 1) / stride;
  const int row = stride * conv.outputs;
  float* y = storage.ensure(static_cast<int64_t>(last - first) * row);
  gemm_f32(pool, last - first, row, taps * conv.inputs, padded + first * width, conv.inputs,
           conv.weight, taps * conv.inputs, conv.bias, y, row);
  if (all) {
    const int64_t steps = static_cast<int64_t>(length - 1) * stride + conv.kernel;
    group_norm(pool, conv.norm, steps, conv.outputs, y);
  }
  return y + static_cast<int64_t>(conv.left - first * stride) * conv.outputs;
}

}  // namespace ob

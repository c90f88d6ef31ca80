#include "codec_convnext.h"

#include "codec_kernels.h"

namespace ob {
namespace {

// Rows worth a piece of work for another thread: a multiple of the rows of a matrix kernel.
constexpr int kGrain = 24;
// Rows taken through a block at once, so that what lies between its layers stays in the cache.
constexpr int kRows = 96;

const CodecKernels& codec_kernels_of(ThreadPool& pool) {
  return codec_kernels(pool.kernels().isa);
}

// Row t of the depthwise convolution of x [length, dim], zeros beyond both ends.
void depthwise_row(const ConvNeXtBlock& block, const float* x, int length, int t, float* y) {
  const int dim = static_cast<int>(block.tap_bias.size());
  std::copy(block.tap_bias.begin(), block.tap_bias.end(), y);
  for (int tap = 0; tap < block.kernel; ++tap) {
    const int source = t + tap - block.kernel / 2;
    if (source < 0 || source >= length) continue;
    const float* from = x + static_cast<int64_t>(source) * dim;
    const float* weight = block.taps.data() + static_cast<int64_t>(tap) * dim;
    for (int c = 0; c < dim; ++c) y[c] += from[c] * weight[c];
  }
}

}  // namespace

LayerNorm read_layer_norm(Description& description, int dim) {
  LayerNorm norm;
  norm.weight = description.copy(dim);
  norm.bias = description.copy(dim);
  return norm;
}

ConvNeXtBlock read_convnext_block(Description& description, int dim, int hidden, int kernel) {
  ConvNeXtBlock block;
  block.kernel = kernel;
  block.taps = description.copy(static_cast<int64_t>(kernel) * dim);
  block.tap_bias = description.copy(dim);
  block.norm = read_layer_norm(description, dim);
  block.up = description.linear(hidden, dim);
  block.down = description.linear(dim, hidden);
  return block;
}

ConvNeXtStack read_convnext_stack(Description& description, int inputs, int dim, int layers,
                                  int mlp_ratio, int kernel) {
  ConvNeXtStack stack;
  stack.embed.inputs = inputs;
  stack.embed.kernel = kernel;
  stack.embed.left = stack.embed.right = kernel / 2;
  stack.embed.product = description.linear(dim, kernel * inputs);
  stack.norm = read_layer_norm(description, dim);
  for (int i = 0; i < layers; ++i)
    stack.blocks.push_back(read_convnext_block(description, dim, dim * mlp_ratio, kernel));
  stack.final_norm = read_layer_norm(description, dim);
  return stack;
}

ConvNeXtStack read_sized_stack(Description& description, int inputs) {
  const int dim = description.size(), layers = description.size();
  const int mlp_ratio = description.size(), kernel = description.size();
  return read_convnext_stack(description, inputs, dim, layers, mlp_ratio, kernel);
}

void apply_layer_norm(ThreadPool& pool, const LayerNorm& norm, int length, float* x) {
  const CodecKernels& kernels = codec_kernels_of(pool);
  const int dim = static_cast<int>(norm.weight.size());
  parallel_ranges(pool, length, 4 * kGrain, [&](int64_t first, int64_t last) {
    for (float* row = x + first * dim; row < x + last * dim; row += dim)
      kernels.layer_norm(row, norm.weight.data(), norm.bias.data(), row, dim);
  });
}

void apply_block(ThreadPool& pool, const ConvNeXtBlock& block, const float* x, int length,
                 float* y) {
  const Kernels& kernels = pool.kernels();
  const CodecKernels& codec = codec_kernels_of(pool);
  const int dim = static_cast<int>(block.tap_bias.size()), hidden = block.up.outputs();
  parallel_ranges(pool, length, kGrain, [&](int64_t first, int64_t last) {
    Buffer normed, wide;
    float* rows = normed.ensure(static_cast<int64_t>(kRows) * dim);
    float* inner = wide.ensure(static_cast<int64_t>(kRows) * hidden);
    for (int64_t start = first; start < last; start += kRows) {
      const int count = static_cast<int>(std::min<int64_t>(kRows, last - start));
      for (int t = 0; t < count; ++t) {
        float* row = rows + static_cast<int64_t>(t) * dim;
        depthwise_row(block, x, length, static_cast<int>(start) + t, row);
        codec.layer_norm(row, block.norm.weight.data(), block.norm.bias.data(), row, dim);
      }
      block.up.apply(kernels, rows, dim, count, inner, hidden, Epilogue::kGelu);
      std::copy_n(x + start * dim, static_cast<int64_t>(count) * dim, y + start * dim);
      block.down.apply(kernels, inner, hidden, count, y + start * dim, dim, Epilogue::kAdd);
    }
  });
}

float* apply_stack(ThreadPool& pool, const ConvNeXtStack& stack, const float* x, int length,
                   Buffer& first, Buffer& second) {
  const int dim = static_cast<int>(stack.norm.weight.size());
  const int64_t count = static_cast<int64_t>(length) * dim;
  const Kernels& kernels = pool.kernels();
  float* y = first.ensure(count);
  float* next = second.ensure(count);
  ConvWorkspace workspace;
  const float* padded = pad_input(kernels, stack.embed, false, x, length, workspace.padded);
  parallel_ranges(pool, length, kGrain, [&](int64_t from, int64_t to) {
    convolve_steps(kernels, stack.embed, padded, static_cast<int>(from), static_cast<int>(to),
                   workspace.columns, y);
  });
  apply_layer_norm(pool, stack.norm, length, y);
  for (const ConvNeXtBlock& block : stack.blocks) {
    apply_block(pool, block, y, length, next);
    std::swap(y, next);
  }
  apply_layer_norm(pool, stack.final_norm, length, y);
  return y;
}

void apply_linear(ThreadPool& pool, const Linear& linear, const float* x, int inputs, int length,
                  float* y) {
  const int outputs = linear.outputs();
  parallel_ranges(pool, length, kGrain, [&](int64_t first, int64_t last) {
    linear.apply(pool.kernels(), x + first * inputs, inputs, static_cast<int>(last - first),
                 y + first * outputs, outputs);
  });
}

}  // namespace ob

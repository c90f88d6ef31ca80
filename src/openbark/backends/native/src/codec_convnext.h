// ConvNeXt stacks (Vocos, arXiv 2306.00814) on channels-last sequences [T, C].
#pragma once

#include "codec_description.h"

namespace ob {

struct LayerNorm {
  std::vector<float> weight, bias;
};

// Depthwise convolution, LayerNorm, GELU MLP and a residual. The layer scale is folded into `down`.
struct ConvNeXtBlock {
  int kernel = 1;
  std::vector<float> taps, tap_bias;  // [kernel, C], [C]
  LayerNorm norm;
  Linear up, down;
};

// Convolution, LayerNorm, blocks, LayerNorm.
struct ConvNeXtStack {
  Convolution embed;
  LayerNorm norm, final_norm;
  std::vector<ConvNeXtBlock> blocks;
};

LayerNorm read_layer_norm(Description& description, int dim);
ConvNeXtBlock read_convnext_block(Description& description, int dim, int hidden, int kernel);
ConvNeXtStack read_convnext_stack(Description& description, int inputs, int dim, int layers,
                                  int mlp_ratio, int kernel);
// Sizes (width, blocks, ratio of the MLP, kernel), then the weights.
ConvNeXtStack read_sized_stack(Description& description, int inputs);

void apply_layer_norm(ThreadPool& pool, const LayerNorm& norm, int length, float* x);

// y [length, C] of x [length, C]; they may not be the same.
void apply_block(ThreadPool& pool, const ConvNeXtBlock& block, const float* x, int length, float* y);

// The stack's output [length, dim] for x [length, inputs], in one of the two buffers.
float* apply_stack(ThreadPool& pool, const ConvNeXtStack& stack, const float* x, int length,
                   Buffer& first, Buffer& second);

// y [length, outputs] of x, the rows shared by the threads.
void apply_linear(ThreadPool& pool, const Linear& linear, const float* x, int inputs, int length,
                  float* y);

}  // namespace ob

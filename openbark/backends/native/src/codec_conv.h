// One-dimensional convolutions on channels-last sequences [T, C].
//
// With the channels last, the inputs of one output step lie next to each other in memory: a
// convolution is one matrix product over overlapping rows, and a transposed convolution is one
// whose output rows hold `stride` steps. Nothing is gathered unless there is dilation.
#pragma once

#include "codec_workspace.h"

namespace ob {

// The numbers are part of the C interface.
enum class PadMode : int { kConstant = 0, kReflect = 1, kReplicate = 2 };

// Normalisation over all steps and channels together (one group); absent when the pointers are null.
struct GroupNorm {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

struct Convolution {
  int inputs = 0, outputs = 0, kernel = 1, stride = 1, dilation = 1;
  // Steps of padding. The right side is extended besides until the last stride is full.
  int left = 0, right = 0;
  PadMode pad_mode = PadMode::kConstant;
  const float* weight = nullptr;  // [outputs, kernel, inputs]
  const float* bias = nullptr;    // [outputs]
  GroupNorm norm;

  int output_length(int length) const { return (length + stride - 1) / stride; }
};

struct TransposedConvolution {
  int inputs = 0, outputs = 0, kernel = 1, stride = 1;
  int left = 0;  // output steps trimmed on the left; on the right whatever exceeds T * stride
  // [stride, outputs, taps, inputs], the oldest input first, zeros where the kernel ends early.
  const float* weight = nullptr;
  const float* bias = nullptr;  // [stride, outputs]: the same values for every step of the stride
  GroupNorm norm;

  int taps() const { return (kernel + stride - 1) / stride; }
};

struct ConvWorkspace {
  Buffer padded, columns;
};

// y [output_length(length), outputs] of x [length, inputs], with ELU applied to x first if asked for.
void convolve(ThreadPool& pool, const Convolution& conv, bool elu_first, const float* x, int length,
              ConvWorkspace& workspace, float* y);

// Upsamples ELU(x) [length, inputs] into `storage`; returns the first of length * stride steps there.
float* upsample(ThreadPool& pool, const TransposedConvolution& conv, const float* x, int length,
                ConvWorkspace& workspace, Buffer& storage);

}  // namespace ob

// One-dimensional convolutions on channels-last sequences [T, C]. Nothing here starts a thread.
//
// With the channels last, the inputs of one output step lie next to each other in memory: a
// convolution is one matrix product over overlapping rows, and a transposed convolution is one
// whose output rows hold `stride` steps. Nothing is gathered unless there is dilation.
#pragma once

#include "codec_linear.h"
#include "codec_workspace.h"

namespace ob {

// The numbers are part of the C interface.
enum class PadMode : int { kConstant = 0, kReflect = 1, kReplicate = 2 };

// Normalisation over all steps and channels together (one group); absent while `weight` is empty.
struct GroupNorm {
  std::vector<float> weight, bias;
};

struct Convolution {
  int inputs = 0, kernel = 1, stride = 1, dilation = 1;
  // Steps of padding. The right side is extended besides until the last stride is full.
  int left = 0, right = 0;
  PadMode pad_mode = PadMode::kConstant;
  Linear product;  // of [outputs, kernel, inputs]
  GroupNorm norm;

  int output_length(int length) const { return (length + stride - 1) / stride; }
};

struct TransposedConvolution {
  int inputs = 0, outputs = 0, kernel = 1, stride = 1;
  int left = 0;  // output steps trimmed on the left; on the right whatever exceeds T * stride
  // Of [stride, outputs, taps, inputs], the oldest input first, zeros where the kernel ends early.
  Linear product;
  GroupNorm norm;

  int taps() const { return (kernel + stride - 1) / stride; }
};

struct ConvWorkspace {
  Buffer padded, columns;
};

// x [length, inputs] with its padding around it, after ELU if asked for; x itself where that changes
// nothing.
const float* pad_input(const Kernels& kernels, const Convolution& conv, bool elu, const float* x,
                       int length, Buffer& storage);

// Output steps [first, last), written to y + first * outputs, of a padded input; without the norm.
void convolve_steps(const Kernels& kernels, const Convolution& conv, const float* padded, int first,
                    int last, Buffer& columns, float* y, Epilogue epilogue = Epilogue::kStore);

// y [output_length(length), outputs] of x [length, inputs], with ELU applied to x first if asked for.
// kAdd adds to y instead, and only without a norm.
void convolve(const Kernels& kernels, const Convolution& conv, bool elu, const float* x, int length,
              ConvWorkspace& workspace, float* y, Epilogue epilogue = Epilogue::kStore);

// Upsamples ELU(x) [length, inputs] into `storage`; returns the first of length * stride steps there.
float* upsample(const Kernels& kernels, const TransposedConvolution& conv, const float* x,
                int length, ConvWorkspace& workspace, Buffer& storage);

}  // namespace ob

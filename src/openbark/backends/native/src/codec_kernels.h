// The inner loops of the codecs that gain from wide vectors, one set per instruction set.
//
// Everything here works on plain rows of floats and starts no thread.
#pragma once

#include <cstdint>

#include "cpu.h"

namespace ob {

struct CodecKernels {
  // y = x where x > 0, else exp(x) - 1; y may be x.
  void (*elu)(const float* x, float* y, int64_t count);
  // LayerNorm of one row, epsilon 1e-6; y may be x.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float* y, int width);
  // Units [first, last) of one LSTM step. `inputs` [4, width] holds W_ih x + both biases, gates in
  // the order i, f, g, o; `weight` is W_hh as [width, 4, width]: a unit has its four rows together.
  // Reads `hidden`, updates `cell` in place, writes `next`.
  void (*lstm_units)(const float* inputs, const float* weight, const float* hidden, float* cell,
             float* next, int width, int first, int last);
  // re + i im = e^(log_magnitude + i phase); the phase is at most some thousand turns.
  void (*polar)(const float* log_magnitude, const float* phase, float* re, float* im, int64_t count);
};

// The set for an instruction set the processor offers.
const CodecKernels& codec_kernels(Isa isa);

}  // namespace ob

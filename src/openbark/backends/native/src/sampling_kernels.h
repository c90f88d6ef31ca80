// The loops of a draw that gain from wide vectors, one set per instruction set. Nothing here starts a thread.
#pragma once

#include "cpu.h"

namespace ob {

// Logits that are weighed together.
constexpr int kDrawBlock = 64;

struct SamplingKernels {
  // The largest of n logits, n a multiple of kDrawBlock. A NaN may go unnoticed.
  float (*largest)(const float* logits, int n);
  // weights[i] = e^((logits[i] - most) * inverse) for one block, off by at most 2^-50 of itself besides
  // the rounding of the exponent; returns their sum. Exponents below -700, those of -inf too, count as -700; a
  // NaN becomes a NaN.
  double (*weigh)(const float* logits, double inverse, double most, double* weights);
};

// The set for an instruction set the processor offers.
const SamplingKernels& sampling_kernels(Isa isa);

}  // namespace ob

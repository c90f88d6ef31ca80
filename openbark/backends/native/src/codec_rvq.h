// Residual vector quantisation: codes to latents and back.
#pragma once

#include <vector>

#include "codec_workspace.h"

namespace ob {

struct ResidualQuantizer {
  int size = 0, dim = 0;
  std::vector<const float*> tables;             // each [size, dim]
  std::vector<std::vector<float>> half_norms;  // -|entry|^2 / 2 of each table

  // Takes one more codebook.
  void add(const float* table);
};

// latent [frames, dim] of codes [n_codebooks, frames]; every code must lie in [0, size).
void dequantize(ThreadPool& pool, const ResidualQuantizer& quantizer, const int32_t* codes,
                int n_codebooks, int frames, float* latent);

// codes [n_codebooks, frames] of latent [frames, dim], which is overwritten by what is left over.
void quantize(ThreadPool& pool, const ResidualQuantizer& quantizer, float* latent, int n_codebooks,
              int frames, int32_t* codes);

}  // namespace ob

// Residual vector quantisation: codes to latents and back.
#pragma once

#include <vector>

#include "codec_description.h"

namespace ob {

// The tables are borrowed: they are large, and decoding reads a few rows of them.
struct ResidualQuantizer {
  int size = 0, dim = 0;
  std::vector<const float*> tables;  // each [size, dim]
};

// Sizes (entries, their width, tables), then the tables.
ResidualQuantizer read_quantizer(Description& description);

// latent [frames, dim] of codes [n_codebooks, frames]; every code must lie in [0, size).
void dequantize(const ResidualQuantizer& quantizer, const int32_t* codes, int n_codebooks,
                int frames, float* latent);

// codes [n_codebooks, frames] of latent [frames, dim], which is overwritten by what is left over.
// The nearest entry wins (Euclid), the lowest index on ties.
void quantize(ThreadPool& pool, const ResidualQuantizer& quantizer, float* latent, int n_codebooks,
              int frames, int32_t* codes);

}  // namespace ob

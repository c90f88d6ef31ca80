#include "codec_rvq.h"

#include "codec_linear.h"

namespace ob {
namespace {

// Frames scored at once: their scores against a whole codebook stay in the cache.
constexpr int kFrames = 32;

// The nearest entry e of x maximises x.e - |e|^2 / 2: the distance without |x|^2, which all share.
Linear scorer(ThreadPool& pool, const float* table, int size, int dim) {
  std::vector<float> half_norms(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const float* entry = table + static_cast<int64_t>(i) * dim;
    half_norms[static_cast<std::size_t>(i)] = -0.5f * pool.kernels().dot(entry, entry, dim);
  }
  return Linear(pool, size, dim, table, half_norms.data());
}

}  // namespace

ResidualQuantizer read_quantizer(Description& description) {
  ResidualQuantizer quantizer;
  quantizer.size = description.size();
  quantizer.dim = description.size();
  const int count = description.size();
  for (int k = 0; k < count; ++k)
    quantizer.tables.push_back(
        description.array(static_cast<int64_t>(quantizer.size) * quantizer.dim));
  return quantizer;
}

void dequantize(const ResidualQuantizer& quantizer, const int32_t* codes, int n_codebooks,
                int frames, float* latent) {
  const int64_t dim = quantizer.dim;
  std::fill_n(latent, frames * dim, 0.0f);
  for (int k = 0; k < n_codebooks; ++k)
    for (int f = 0; f < frames; ++f) {
      const int64_t code = codes[static_cast<int64_t>(k) * frames + f];
      const float* entry = quantizer.tables[static_cast<std::size_t>(k)] + code * dim;
      for (int64_t d = 0; d < dim; ++d) latent[f * dim + d] += entry[d];
    }
}

void quantize(ThreadPool& pool, const ResidualQuantizer& quantizer, float* latent, int n_codebooks,
              int frames, int32_t* codes) {
  const Kernels& kernels = pool.kernels();
  const int dim = quantizer.dim, size = quantizer.size;
  const int blocks = (frames + kFrames - 1) / kFrames;
  std::vector<Buffer> scores(static_cast<std::size_t>(pool.size()));
  for (int k = 0; k < n_codebooks; ++k) {
    const float* table = quantizer.tables[static_cast<std::size_t>(k)];
    // Packed for this call only: encoding is rare, and all codebooks packed would double their memory.
    const Linear score = scorer(pool, table, size, dim);
    pool.parallel(blocks, [&](int block, int worker) {
      float* values = scores[static_cast<std::size_t>(worker)].ensure(kFrames * size);
      const int first = block * kFrames, count = std::min(kFrames, frames - first);
      float* residual = latent + static_cast<int64_t>(first) * dim;
      score.apply(kernels, residual, dim, count, values, size);
      for (int f = 0; f < count; ++f) {
        const float* row = values + static_cast<int64_t>(f) * size;
        const int best = static_cast<int>(std::max_element(row, row + size) - row);
        codes[static_cast<int64_t>(k) * frames + first + f] = best;
        const float* entry = table + static_cast<int64_t>(best) * dim;
        for (int d = 0; d < dim; ++d) residual[static_cast<int64_t>(f) * dim + d] -= entry[d];
      }
    });
  }
}

}  // namespace ob

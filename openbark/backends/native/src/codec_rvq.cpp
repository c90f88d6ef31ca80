#include "codec_rvq.h"

#include "gemm.h"

namespace ob {
namespace {

// Frames scored at once: their scores against a whole codebook stay in the cache.
constexpr int kBlock = 128;

int first_maximum(const float* values, int count) {
  int best = 0;
  for (int i = 1; i < count; ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

}  // namespace

void ResidualQuantizer::add(const float* table) {
  tables.push_back(table);
  std::vector<float> norms(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    float sum = 0.0f;
    for (int d = 0; d < dim; ++d) {
      const float value = table[static_cast<int64_t>(i) * dim + d];
      sum += value * value;
    }
    norms[static_cast<std::size_t>(i)] = -0.5f * sum;
  }
  half_norms.push_back(std::move(norms));
}

void dequantize(ThreadPool& pool, const ResidualQuantizer& quantizer, const int32_t* codes,
                int n_codebooks, int frames, float* latent) {
  const int64_t dim = quantizer.dim;
  parallel_ranges(pool, frames, 64, [&](int64_t first, int64_t last) {
    std::fill(latent + first * dim, latent + last * dim, 0.0f);
    for (int k = 0; k < n_codebooks; ++k)
      for (int64_t f = first; f < last; ++f) {
        const int64_t code = codes[static_cast<int64_t>(k) * frames + f];
        const float* entry = quantizer.tables[static_cast<std::size_t>(k)] + code * dim;
        for (int64_t d = 0; d < dim; ++d) latent[f * dim + d] += entry[d];
      }
  });
}

void quantize(ThreadPool& pool, const ResidualQuantizer& quantizer, float* latent, int n_codebooks,
              int frames, int32_t* codes) {
  const int dim = quantizer.dim, size = quantizer.size;
  Buffer storage;
  float* scores = storage.ensure(static_cast<int64_t>(kBlock) * size);
  for (int start = 0; start < frames; start += kBlock) {
    const int count = std::min(kBlock, frames - start);
    float* residual = latent + static_cast<int64_t>(start) * dim;
    for (int k = 0; k < n_codebooks; ++k) {
      const float* table = quantizer.tables[static_cast<std::size_t>(k)];
      // The nearest entry e maximises x.e - |e|^2 / 2: the distance without |x|^2, which all share.
      gemm_f32(pool, count, size, dim, residual, dim, table, dim,
               quantizer.half_norms[static_cast<std::size_t>(k)].data(), scores, size);
      int32_t* row = codes + static_cast<int64_t>(k) * frames + start;
      parallel_ranges(pool, count, 16, [&](int64_t first, int64_t last) {
        for (int64_t f = first; f < last; ++f) {
          row[f] = first_maximum(scores + f * size, size);
          const float* entry = table + static_cast<int64_t>(row[f]) * dim;
          for (int d = 0; d < dim; ++d) residual[f * dim + d] -= entry[d];
        }
      });
    }
  }
}

}  // namespace ob

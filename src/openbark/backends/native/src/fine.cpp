#include "fine.h"

#include <stdexcept>
#include <string>

#include "tiling.h"

namespace ob {

FineSession::FineSession(ThreadPool& pool, const Model& model)
    : pool_(pool),
      model_(model),
      cache_(model.shape(), model.shape().block_size, 1),
      workspace_(model, model.shape().block_size, pool.size()) {}

void FineSession::compute(const std::int64_t* codes, int n, int k, int first, int n_rows, float* out,
                          int ldo) {
  const Shape& shape = model_.shape();
  if (n < 1 || n > shape.block_size || first < 0 || first >= n) {
    throw std::invalid_argument("window of " + std::to_string(n) + " frames; allowed: 1.." +
                                std::to_string(shape.block_size));
  }
  if (k < shape.n_codes_given || k >= shape.n_tables) {
    throw std::invalid_argument("codebook " + std::to_string(k) + "; allowed: " +
                                std::to_string(shape.n_codes_given) + ".." +
                                std::to_string(shape.n_tables - 1));
  }
  for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(k + 1) * n; ++i) {
    if (codes[i] < 0 || codes[i] >= shape.n_in) {
      throw std::invalid_argument("code " + std::to_string(codes[i]) + " is outside 0.." +
                                  std::to_string(shape.n_in - 1));
    }
  }
  const std::ptrdiff_t width = shape.n_embd;
  pool_.parallel(n, [&](int frame, int) {
    float* x = workspace_.x(frame);
    const float* place = model_.position(frame);
    std::copy(place, place + width, x);
    for (int level = 0; level <= k; ++level) {
      const float* row = model_.table(level) + codes[static_cast<std::ptrdiff_t>(level) * n + frame] * width;
      for (std::ptrdiff_t i = 0; i < width; ++i) x[i] += row[i];
    }
  });
  const Span span{&cache_, 0, n};
  run_blocks(pool_, model_, workspace_, &span, 1, first);
  const Matrix& head = model_.head()[static_cast<std::size_t>(k - shape.n_codes_given)].matrix;
  linear(pool_, head, n - first, n_rows, workspace_.hidden(first), static_cast<int>(workspace_.ldx()),
         Epilogue::kStore, out, ldo, workspace_.inputs());
}

void FineSession::logits(const std::int64_t* codes, int n, int k, int first, float* out) {
  const ThreadPool::ActiveScope active(pool_);
  compute(codes, n, k, first, model_.shape().n_out, out, model_.shape().n_out);
}

void FineSession::draw(const std::int64_t* codes, int n, int k, int first, const Sampling& sampling,
                       std::uint64_t seed, int stage, int first_row, int n_tokens, std::int64_t* out) {
  if (n_tokens < 1 || n_tokens > model_.shape().n_out) throw std::invalid_argument("codebook size");
  const ThreadPool::ActiveScope active(pool_);
  logits_.resize(static_cast<std::size_t>(n - first) * static_cast<std::size_t>(n_tokens));
  compute(codes, n, k, first, n_tokens, logits_.data(), n_tokens);
  std::vector<Sampler> samplers(static_cast<std::size_t>(pool_.size()), Sampler(pool_.kernels().isa));
  pool_.parallel(n - first, [&](int frame, int worker) {
    const float* row = logits_.data() + static_cast<std::ptrdiff_t>(frame) * n_tokens;
    const double number = uniform(seed, stage, k, first_row + frame);
    out[frame] = samplers[static_cast<std::size_t>(worker)].draw(row, n_tokens, sampling, number);
  });
}

}  // namespace ob

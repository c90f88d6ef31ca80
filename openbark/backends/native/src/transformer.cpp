#include "transformer.h"

#include <algorithm>

#include "tiling.h"

namespace ob {

namespace {

// A distance between rows that is no multiple of 4 KiB keeps them in different cache lines.
std::ptrdiff_t row_stride(int n) { return (n + 15) / 16 * 16 + 16; }

template <class Body>
void shared(ThreadPool& pool, int count, double work, Body&& body) {
  if (work < kWorthSharing) {
    for (int index = 0; index < count; ++index) body(index, 0);
  } else {
    pool.parallel(count, body);
  }
}

void normalise(ThreadPool& pool, const Model& model, const Norm& norm, Workspace& w, int first, int last) {
  const int width = model.shape().n_embd;
  constexpr int kRows = 16;
  const int blocks = (last - first + kRows - 1) / kRows;
  shared(pool, blocks, 4.0 * (last - first) * width, [&](int block, int) {
    const int from = first + block * kRows;
    for (int row = from; row < std::min(last, from + kRows); ++row) {
      pool.kernels().layer_norm(w.x(row), norm.weight, norm.bias, width, w.hidden(row));
    }
  });
}

// Keys and values of rows first..last, row by row: they lie side by side in the fused projections.
void append(const Model& model, Cache& cache, const Workspace& w, int layer, int first, int last, int start) {
  const int width = model.shape().n_embd;
  const int dim = model.head_dim();
  for (int row = first; row < last; ++row) {
    const float* keys = w.wide(row) + width;
    for (int head = 0; head < model.shape().n_head; ++head) {
      cache.append(layer, head, start + row, keys + head * dim, keys + width + head * dim);
    }
  }
}

// Fills the cache from the fused projections and attends for the rows from `wanted` on.
void attention(ThreadPool& pool, const Model& model, Cache& cache, Workspace& w, int layer, int rows,
               int start, int wanted) {
  const int n_head = model.shape().n_head;
  const bool causal = model.shape().causal != 0;
  const int dim = model.head_dim();
  const double work = 2.0 * (rows - wanted + 1) * (start + rows) * dim * n_head;
  // Positions of one block of keys share cache lines: they are filled by one thread.
  const int skew = start % kKeyBlock;
  shared(pool, (skew + rows + kKeyBlock - 1) / kKeyBlock, work, [&](int block, int) {
    const int first = std::max(0, block * kKeyBlock - skew);
    append(model, cache, w, layer, first, std::min(rows, (block + 1) * kKeyBlock - skew), start);
  });
  constexpr int kRows = 64;
  const int blocks = (rows - wanted + kRows - 1) / kRows;
  // All blocks of one head in a row: its keys and values stay in the second-level cache.
  shared(pool, n_head * blocks, work, [&](int index, int worker) {
    const int head = index / blocks;
    const int first = wanted + index % blocks * kRows;
    const int count = std::min(kRows, rows - first);
    const int visible = causal ? start + first + 1 : start + rows;
    cache.attend(pool.kernels(), layer, head, count, visible, causal ? 1 : 0, w.wide(first) + head * dim,
                 w.ldw(), w.scores(worker), w.hidden(first) + head * dim, w.ldx());
  });
}

}  // namespace

Workspace::Workspace(const Model& model, const Cache& cache, int rows, int workers)
    : rows_(rows),
      ldx_(row_stride(model.shape().n_embd)),
      ldw_(row_stride(4 * model.shape().n_embd)),
      scores_size_(static_cast<std::ptrdiff_t>(cache.scores_size())),
      memory_(sizeof(float) * static_cast<std::size_t>(rows * (2 * ldx_ + ldw_) + workers * scores_size_)),
      hidden_(memory_.as<float>() + rows * ldx_),
      wide_(hidden_ + rows * ldx_),
      scores_(wide_ + rows * ldw_),
      inputs_(rows, 4 * model.shape().n_embd) {}

void run_blocks(ThreadPool& pool, const Model& model, Cache& cache, Workspace& w, int rows, int start,
                int wanted) {
  const int width = model.shape().n_embd;
  const int n_layer = model.shape().n_layer;
  const int ldx = static_cast<int>(w.ldx());
  const int ldw = static_cast<int>(w.ldw());
  for (int i = 0; i < n_layer; ++i) {
    const Layer& layer = model.layers()[static_cast<std::size_t>(i)];
    // Behind the last layer's keys and values nothing depends on the rows that nobody wants.
    const int first = i + 1 == n_layer ? wanted : 0;
    const int kept = rows - first;
    normalise(pool, model, layer.norm_1, w, 0, rows);
    linear(pool, layer.att_proj, rows, 3 * width, w.hidden(0), ldx, Finish::kStore, w.wide(0), ldw,
           w.inputs());
    attention(pool, model, cache, w, i, rows, start, first);
    if (kept == 0) return;
    linear(pool, layer.attn_out, kept, width, w.hidden(first), ldx, Finish::kAdd, w.x(first), ldx,
           w.inputs());
    normalise(pool, model, layer.norm_2, w, first, rows);
    linear(pool, layer.mlp_in, kept, 4 * width, w.hidden(first), ldx, Finish::kGelu, w.wide(first), ldw,
           w.inputs());
    linear(pool, layer.mlp_out, kept, width, w.wide(first), ldw, Finish::kAdd, w.x(first), ldx, w.inputs());
  }
  normalise(pool, model, model.final_norm(), w, wanted, rows);
}

}  // namespace ob

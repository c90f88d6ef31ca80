#include "transformer.h"

#include <algorithm>
#include <vector>

#include "step.h"
#include "tiling.h"

namespace ob {

namespace {

// A distance between rows that is not a multiple of 4 KiB keeps them in different cache lines.
std::ptrdiff_t row_stride(int n) { return (n + 15) / 16 * 16 + 16; }

template <class Body>
void shared(ThreadPool& pool, int count, double work, Body&& body) {
  if (work < kWorthSharing) {
    for (int index = 0; index < count; ++index) body(index, 0);
  } else {
    pool.parallel(count, body);
  }
}

// Normalises rows first..last, into the inputs of `next` if it multiplies converted ones, else into w.hidden.
void normalise(ThreadPool& pool, const Model& model, const Norm& norm, Workspace& w, int first, int last,
               const Matrix* next) {
  const Kernels& kernels = pool.kernels();
  const int width = model.shape().n_embd;
  const bool converted = next != nullptr && next->precision != Precision::kFloat32;
  constexpr int kRows = 16;
  const int blocks = (last - first + kRows - 1) / kRows;
  shared(pool, blocks, 4.0 * (last - first) * width, [&](int block, int worker) {
    const int from = first + block * kRows;
    for (int row = from; row < std::min(last, from + kRows); ++row) {
      float* out = converted ? w.own_hidden(worker, 0) : w.hidden(row);
      kernels.layer_norm(w.x(row), norm.weight, norm.bias, width, out);
      if (converted) w.inputs().convert(kernels, *next, row - first, row - first + 1, out, 0);
    }
  });
}

// Consecutive rows of one span that attention takes together.
struct Block {
  Cache* cache;
  int row, position, rows, visible;  // the first row sees `visible` positions
};

// The blocks of the rows from `wanted` on, at most `longest` rows each: they end where a block of keys ends, as no
// two threads may write to one.
std::vector<Block> blocks_of(const Span* spans, int n, int wanted, int longest, bool causal) {
  std::vector<Block> blocks;
  int row = 0;
  for (int i = 0; i < n; ++i) {
    const Span& span = spans[i];
    int rows = 0;
    for (int at = std::max(0, wanted - row); at < span.rows; at += rows) {
      const int position = span.start + at;
      rows = std::min(longest - position % kKeyBlock, span.rows - at);
      blocks.push_back({span.cache, row + at, position, rows, causal ? position + 1 : span.start + span.rows});
    }
    row += span.rows;
  }
  return blocks;
}

// A few rows at a time, head by head: the lines that a block of keys is written to stay in the nearest cache,
// and the next head's numbers, a long way apart, are asked for meanwhile.
void append(const Kernels& kernels, const Model& model, const Workspace& w, int layer, const Block& block) {
  const int width = model.shape().n_embd;
  const int dim = model.head_dim();
  for (int first = 0; first < block.rows; first += kKeyBlock) {
    const int last = std::min(block.rows, first + kKeyBlock);
    for (int head = 0; head < model.shape().n_head; ++head) {
      for (int i = first; i < last; ++i) {
        const float* key = w.wide(block.row + i) + width + head * dim;
        for (int ahead = 0; ahead < dim; ahead += 16) {
          __builtin_prefetch(key + dim + ahead);
          __builtin_prefetch(key + width + dim + ahead);
        }
        block.cache->append(kernels, layer, head, block.position + i, key, key + width);
      }
    }
  }
}

void attend(ThreadPool& pool, const Model& model, Workspace& w, int layer, int head, const Block& block,
            int worker) {
  const int at = head * model.head_dim();
  block.cache->attend(pool.kernels(), layer, head,
                      {w.wide(block.row) + at, w.ldw(), block.rows, block.visible, model.shape().causal != 0,
                       w.scores(worker), w.hidden(block.row) + at, w.ldx(), nullptr});
}

// What run_blocks knows of its rows before the first layer.
struct Rows {
  int n = 0, wanted = 0;
  std::vector<Block> all, last;  // what attention takes together: before the last layer, and in it
  double seen = 0;            // positions that all rows see

  Rows(const Span* given, int count, int wanted, bool causal) : wanted(wanted) {
    constexpr int kTogether = 48;  // a multiple of kKeyBlock and of every variant's query rows
    all = blocks_of(given, count, 0, kTogether, causal);
    last = blocks_of(given, count, wanted, kTogether, causal);
    for (int i = 0; i < count; ++i) {
      n += given[i].rows;
      seen += static_cast<double>(given[i].rows + 1) * (given[i].start + given[i].rows);
    }
  }
};

// Fills the caches from the fused projections and attends for `blocks`.
void attention(ThreadPool& pool, const Model& model, Workspace& w, int layer, const Rows& rows,
               const std::vector<Block>& blocks) {
  const int n_head = model.shape().n_head;
  const double work = 2.0 * rows.seen * model.head_dim() * n_head;
  const int n_blocks = static_cast<int>(blocks.size());
  shared(pool, static_cast<int>(rows.all.size()), work,
         [&](int index, int) { append(pool.kernels(), model, w, layer, rows.all[static_cast<std::size_t>(index)]); });
  // All blocks of one head in a row: its keys and values stay in the second-level cache.
  shared(pool, n_blocks * n_head, work, [&](int index, int worker) {
    attend(pool, model, w, layer, index / n_blocks, blocks[static_cast<std::size_t>(index % n_blocks)], worker);
  });
}

}  // namespace

Workspace::Workspace(const Model& model, int rows, int workers)
    : rows_(rows),
      ldx_(row_stride(model.shape().n_embd)),
      ldw_(row_stride(4 * model.shape().n_embd)),
      scores_size_(static_cast<std::ptrdiff_t>(Cache::scores_size(model.shape().block_size))),
      memory_(sizeof(float) * static_cast<std::size_t>(rows * (2 * ldx_ + ldw_) +
                                                       workers * (scores_size_ + kFewRows * ldx_))),
      hidden_(memory_.as<float>() + rows * ldx_),
      wide_(hidden_ + rows * ldx_),
      scores_(wide_ + rows * ldw_),
      own_hidden_(scores_ + workers * scores_size_),
      inputs_(rows, 4 * model.shape().n_embd) {
  for (int worker = 0; worker < workers; ++worker) own_inputs_.emplace_back(kFewRows, 4 * model.shape().n_embd);
}

void run_blocks(ThreadPool& pool, const Model& model, Workspace& w, const Span* spans, int n, int wanted) {
  const int width = model.shape().n_embd;
  const int n_layer = model.shape().n_layer;
  const int ldx = static_cast<int>(w.ldx());
  const int ldw = static_cast<int>(w.ldw());
  const Rows rows(spans, n, wanted, model.shape().causal != 0);
  if (rows.n == n && wanted == 0) return run_step(pool, model, w, spans, n);
  for (int i = 0; i < n_layer; ++i) {
    const Layer& layer = model.layers()[static_cast<std::size_t>(i)];
    // Behind the last layer's keys and values nothing depends on rows whose output is not read.
    const bool last = i + 1 == n_layer;
    const int first = last ? wanted : 0;
    const int kept = rows.n - first;
    const Matrix att_proj = for_batch(layer.att_proj, rows.n);
    normalise(pool, model, layer.norm_1, w, 0, rows.n, &att_proj);
    linear_of_converted(pool, att_proj, rows.n, 3 * width, w.hidden(0), ldx, Epilogue::kStore, w.wide(0), ldw,
                        w.inputs());
    attention(pool, model, w, i, rows, last ? rows.last : rows.all);
    if (kept == 0) return;
    linear(pool, layer.attn_out, kept, width, w.hidden(first), ldx, Epilogue::kAdd, w.x(first), ldx,
           w.inputs());
    const Matrix mlp_in = for_batch(layer.mlp_in, kept);
    normalise(pool, model, layer.norm_2, w, first, rows.n, &mlp_in);
    linear_of_converted(pool, mlp_in, kept, 4 * width, w.hidden(first), ldx, Epilogue::kGelu, w.wide(first), ldw,
                        w.inputs());
    linear(pool, layer.mlp_out, kept, width, w.wide(first), ldw, Epilogue::kAdd, w.x(first), ldx, w.inputs());
  }
  normalise(pool, model, model.final_norm(), w, wanted, rows.n, nullptr);
}

}  // namespace ob

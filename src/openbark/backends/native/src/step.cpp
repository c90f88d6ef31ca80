#include "step.h"

#include <algorithm>

#include "tiling.h"

namespace ob {

namespace {

// Prefetches the start of what a thread reads next, while it waits.
class Prefetcher {
 public:
  Prefetcher(const void* start, std::size_t bytes)
      : at_(static_cast<const char*>(start)), end_(at_ == nullptr ? nullptr : at_ + std::min(bytes, kMost)) {}

  void some() {
    for (int line = 0; line < kLines && at_ < end_; ++line, at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  static constexpr std::size_t kMost = std::size_t{128} << 10;
  static constexpr int kLine = 64;
  static constexpr int kLines = 4;
  const char *at_, *end_;
};

// One thread's part of a step.
class Part {
 public:
  Part(const Kernels& kernels, const Model& model, Workspace& w, const Span* spans, int n, int worker,
       Barrier& barrier, WorkQueue& queue)
      : kernels_(kernels),
        model_(model),
        w_(w),
        spans_(spans),
        n_(n),
        worker_(worker),
        barrier_(barrier),
        queue_(queue),
        width_(model.shape().n_embd),
        few_(n <= Workspace::kFewRows) {}

  void run() {
    const std::vector<Layer>& layers = model_.layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& layer = layers[i];
      const int index = static_cast<int>(i);
      sync(layer.att_proj);
      product(layer.att_proj, &layer.norm_1, w_.x(0), w_.ldx(), Epilogue::kStore, w_.wide(0), w_.ldw());
      sync_heads(index);
      attention(index, layer.attn_out);
      sync(layer.attn_out);
      product(layer.attn_out, nullptr, w_.hidden(0), w_.ldx(), Epilogue::kAdd, w_.x(0), w_.ldx());
      sync(layer.mlp_in);
      product(layer.mlp_in, &layer.norm_2, w_.x(0), w_.ldx(), Epilogue::kGelu, w_.wide(0), w_.ldw());
      sync(layer.mlp_out);
      product(layer.mlp_out, nullptr, w_.wide(0), w_.ldw(), Epilogue::kAdd, w_.x(0), w_.ldx());
    }
    barrier_.wait(worker_, [] {});
    const Range rows = share(n_);
    for (int row = rows.first; row < rows.last; ++row) {
      normalise(model_.final_norm(), w_.x(row), w_.hidden(row));
    }
  }

 private:
  using Range = WorkQueue::Range;
  // What a product reads: rows of floats, and what they were converted to.
  struct Operand {
    const float* x;
    std::ptrdiff_t ldx;
    Inputs* inputs;
  };

  Range share(int n) const {
    const int threads = barrier_.threads();
    return {n * worker_ / threads, n * (worker_ + 1) / threads};
  }

  Range panels(const Matrix& matrix) const {
    const int width = panel_rows(kernels_, matrix);
    return share((matrix.n + width - 1) / width);
  }

  // Assigns this thread its part of the next round and waits for the others; prefetches what that part reads first.
  void sync(Range own, Prefetcher prefetcher) {
    queue_.assign(worker_, ++round_, own);
    barrier_.wait(worker_, [&] { prefetcher.some(); });
  }

  void sync(const Matrix& next) {
    const Range own = panels(next);
    const int rows = (own.last - own.first) * panel_rows(kernels_, next);
    sync(own, Prefetcher(first_weights(next), matrix_bytes(kernels_, next.precision, rows, next.k).weights));
  }

  void sync_heads(int layer) {
    const Range own = share(model_.shape().n_head * n_);
    for (int pair = own.first; pair < own.last; ++pair) {
      const Span& span = spans_[pair % n_];
      span.cache->expect(layer, pair / n_, span.start);
    }
    sync(own, Prefetcher(nullptr, 0));
  }

  void normalise(const Norm& norm, const float* x, float* out) const {
    kernels_.layer_norm(x, norm.weight, norm.bias, width_, out);
  }

  // Few rows: every thread normalises and converts them for itself. Many: they are shared out.
  Operand prepare(const Matrix& matrix, const Norm* norm, const float* x, std::ptrdiff_t ldx) {
    const Range rows = few_ ? Range{0, n_} : share(n_);
    float* normal = few_ ? w_.own_hidden(worker_, 0) : w_.hidden(0);
    Operand made{norm == nullptr ? x : normal, norm == nullptr ? ldx : w_.ldx(),
                 few_ ? &w_.own_inputs(worker_) : &w_.inputs()};
    if (norm != nullptr) {
      for (int row = rows.first; row < rows.last; ++row) {
        normalise(*norm, x + row * ldx, normal + row * w_.ldx());
      }
    }
    made.inputs->convert(kernels_, matrix, rows.first, rows.last, made.x, made.ldx);
    if (!few_) sync(matrix);
    return made;
  }

  void product(const Matrix& matrix, const Norm* norm, const float* x, std::ptrdiff_t ldx, Epilogue epilogue, float* y,
               std::ptrdiff_t ldy) {
    const Operand a = prepare(matrix, norm, x, ldx);
    const int width = panel_rows(kernels_, matrix);
    for (Range own = next_work(); own.first < own.last; own = next_work()) {
      const int column = own.first * width;
      const Tile tile{0, n_, column, std::min(own.last * width, matrix.n) - column};
      multiply(kernels_, matrix, *a.inputs, tile, a.x, a.ldx, epilogue, y, ldy);
    }
  }

  // Two panels at once: float32 kernels multiply two panels together.
  Range next_work(int most = 2) { return queue_.steal(worker_, round_, most); }

  // Heads of rows: pair p is head p / n of row p % n.
  void attention(int layer, const Matrix& after) {
    const int last = share(model_.shape().n_head * n_).last;
    for (Range own = next_work(1); own.first < own.last; own = next_work(1)) {
      const int pair = own.first;
      const int next = pair + 1;
      append(layer, pair / n_, pair % n_);
      attend(layer, pair / n_, pair % n_,
             next < last ? spans_[next % n_].cache->start(layer, next / n_) : first_weights(after));
    }
  }

  void append(int layer, int head, int row) {
    const Span& span = spans_[row];
    const float* key = w_.wide(row) + head * model_.head_dim() + width_;
    span.cache->append(kernels_, layer, head, span.start, key, key + width_);
  }

  void attend(int layer, int head, int row, const void* next) {
    const int at = head * model_.head_dim();
    const Span& span = spans_[row];
    span.cache->attend(kernels_, layer, head,
                       {w_.wide(row) + at, w_.ldw(), 1, span.start + 1, 0, w_.scores(worker_), w_.hidden(row) + at,
                        w_.ldx(), next});
  }

  // Where this thread's share of a matrix starts; null if it has none.
  const void* first_weights(const Matrix& matrix) const {
    const Range own = panels(matrix);
    return own.first < own.last ? rows_from(kernels_, matrix, own.first * panel_rows(kernels_, matrix)).weights
                                : nullptr;
  }

  const Kernels& kernels_;
  const Model& model_;
  Workspace& w_;
  const Span* spans_;
  const int n_, worker_;
  Barrier& barrier_;
  WorkQueue& queue_;
  int round_ = 0;
  const int width_;
  const bool few_;
};

}  // namespace

void run_step(ThreadPool& pool, const Model& model, Workspace& w, const Span* spans, int n) {
  const double width = model.shape().n_embd;
  if (pool.size() == 1 || n * width * width < kWorthSharing) {
    Barrier alone(1);
    WorkQueue all(1);
    return Part(pool.kernels(), model, w, spans, n, 0, alone, all).run();
  }
  WorkQueue queue(pool.size());
  pool.team([&](int worker, Barrier& barrier) {
    Part(pool.kernels(), model, w, spans, n, worker, barrier, queue).run();
  });
}

}  // namespace ob

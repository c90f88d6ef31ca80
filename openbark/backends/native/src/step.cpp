#include "step.h"

#include <algorithm>

#include "tiling.h"

namespace ob {

namespace {

// The start of what a thread reads next, asked for while it waits.
class Ahead {
 public:
  Ahead(const void* start, std::size_t bytes)
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
  Part(ThreadPool& pool, const Model& model, Workspace& w, const Span* spans, int n, int threads, int worker,
       Barrier& barrier)
      : kernels_(pool.kernels()),
        model_(model),
        w_(w),
        spans_(spans),
        n_(n),
        threads_(threads),
        worker_(worker),
        barrier_(barrier),
        width_(model.shape().n_embd),
        few_(n <= Workspace::kFewRows) {}

  void run() {
    const std::vector<Layer>& layers = model_.layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& layer = layers[i];
      look(layer, static_cast<int>(i));
      meet(layer.attn_out);
      product(layer.attn_out, nullptr, w_.hidden(0), w_.ldx(), Finish::kAdd, w_.x(0), w_.ldx());
      meet(layer.mlp_in);
      product(layer.mlp_in, &layer.norm_2, w_.x(0), w_.ldx(), Finish::kGelu, w_.wide(0), w_.ldw());
      meet(layer.mlp_out);
      product(layer.mlp_out, nullptr, w_.wide(0), w_.ldw(), Finish::kAdd, w_.x(0), w_.ldx());
      if (i + 1 < layers.size()) meet(layers[i + 1].att_proj, projections(layers[i + 1], 0));
    }
    barrier_.wait(worker_, [] {});
    const Range rows = share(n_);
    for (int row = rows.first; row < rows.last; ++row) {
      normalise(model_.final_norm(), w_.x(row), w_.hidden(row));
    }
  }

 private:
  struct Range {
    int first, last;
  };
  // What a product reads: rows of floats, and what they were converted to.
  struct Operand {
    const float* x;
    std::ptrdiff_t ldx;
    Inputs* inputs;
  };

  Range share(int n) const { return {n * worker_ / threads_, n * (worker_ + 1) / threads_}; }

  Range columns(const Matrix& matrix) const {
    const int width = panel_rows(kernels_, matrix);
    const Range panels = share((matrix.n + width - 1) / width);
    return {panels.first * width, std::min(matrix.n, panels.last * width)};
  }

  void meet(const Matrix& next) { meet(next, columns(next)); }

  void meet(const Matrix& next, Range own) {
    const Matrix rest = rows_from(kernels_, next, own.first);
    Ahead ahead(own.first < own.last ? rest.weights : nullptr, bytes_of(next, own));
    barrier_.wait(worker_, [&] { ahead.some(); });
  }

  std::size_t bytes_of(const Matrix& matrix, Range columns) const {
    return matrix_bytes(kernels_, matrix.precision, columns.last - columns.first, matrix.k).weights;
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
    if (!few_) meet(matrix);
    return made;
  }

  void multiply_columns(const Matrix& matrix, const Operand& a, Range columns, Finish finish, float* y,
                        std::ptrdiff_t ldy) {
    if (columns.first >= columns.last) return;
    const Tile tile{0, n_, columns.first, columns.last - columns.first};
    multiply(kernels_, matrix, *a.inputs, tile, a.x, a.ldx, finish, y, ldy);
  }

  void product(const Matrix& matrix, const Norm* norm, const float* x, std::ptrdiff_t ldx, Finish finish, float* y,
               std::ptrdiff_t ldy) {
    const Operand a = prepare(matrix, norm, x, ldx);
    multiply_columns(matrix, a, columns(matrix), finish, y, ldy);
  }

  bool whole_heads(const Layer& layer) const {
    return few_ && model_.head_dim() % panel_rows(kernels_, layer.att_proj) == 0 &&
           model_.shape().n_head % threads_ == 0;
  }

  // Columns of queries (0), keys (1) or values (2) that belong to this thread's heads.
  Range projections(const Layer& layer, int third) const {
    if (!whole_heads(layer)) return columns(layer.att_proj);
    const Range heads = share(model_.shape().n_head);
    const int dim = model_.head_dim();
    return {third * width_ + heads.first * dim, third * width_ + heads.last * dim};
  }

  // Projections, then attention. A thread that projects whole heads goes on with them at once.
  void look(const Layer& layer, int index) {
    const int n_head = model_.shape().n_head;
    const Operand a = prepare(layer.att_proj, &layer.norm_1, w_.x(0), w_.ldx());
    if (whole_heads(layer)) {
      for (int third = 0; third < 3; ++third) {
        if (third == 2) expect(index);
        multiply_columns(layer.att_proj, a, projections(layer, third), Finish::kStore, w_.wide(0), w_.ldw());
      }
      const Range heads = share(n_head);
      return attend_pairs(layer, index, {heads.first * n_, heads.last * n_});
    }
    multiply_columns(layer.att_proj, a, columns(layer.att_proj), Finish::kStore, w_.wide(0), w_.ldw());
    barrier_.wait(worker_, [] {});
    attend_pairs(layer, index, share(n_head * n_));
  }

  // Heads of rows: pair p is head p / n of row p % n. What is written is not read at once: a line that has just been
  // written in pieces is slow to read as a whole.
  void attend_pairs(const Layer& layer, int index, Range pairs) {
    for (int pair = pairs.first; pair < pairs.last; ++pair) append(index, pair / n_, pair % n_);
    for (int pair = pairs.first; pair < pairs.last; ++pair) {
      const int next = pair + 1;
      attend(index, pair / n_, pair % n_,
             next < pairs.last ? spans_[next % n_].cache->start(index, next / n_) : first_weights(layer.attn_out));
    }
  }

  void expect(int layer) const {
    const Range heads = share(model_.shape().n_head);
    for (int row = 0; row < n_; ++row) {
      for (int head = heads.first; head < heads.last; ++head) spans_[row].cache->expect(layer, head, spans_[row].start);
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
    const Range own = columns(matrix);
    return own.first < own.last ? rows_from(kernels_, matrix, own.first).weights : nullptr;
  }

  const Kernels& kernels_;
  const Model& model_;
  Workspace& w_;
  const Span* spans_;
  const int n_, threads_, worker_;
  Barrier& barrier_;
  const int width_;
  const bool few_;
};

}  // namespace

void run_step(ThreadPool& pool, const Model& model, Workspace& w, const Span* spans, int n) {
  const double width = model.shape().n_embd;
  if (pool.size() == 1 || n * width * width < kWorthSharing) {
    Barrier alone(1);
    return Part(pool, model, w, spans, n, 1, 0, alone).run();
  }
  pool.team([&](int worker, Barrier& barrier) {
    Part(pool, model, w, spans, n, barrier.threads(), worker, barrier).run();
  });
}

}  // namespace ob

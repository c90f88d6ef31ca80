// The blocks of a transformer over rows of activations: the same code for prefill, decode and the fine stage.
#pragma once

#include <vector>

#include "cache.h"
#include "matrix.h"
#include "model.h"

namespace ob {

// Activations of up to `rows` positions that are computed together.
class Workspace {
 public:
  Workspace(const Model& model, int rows, int workers);

  int rows() const { return rows_; }
  float* x(int row) const { return memory_.as<float>() + row * ldx_; }      // the residual stream
  float* hidden(int row) const { return hidden_ + row * ldx_; }             // normalised, or attention's output
  float* wide(int row) const { return wide_ + row * ldw_; }                 // fused projections, MLP
  float* scores(int worker) const { return scores_ + worker * scores_size_; }
  std::ptrdiff_t ldx() const { return ldx_; }
  std::ptrdiff_t ldw() const { return ldw_; }
  Inputs& inputs() { return inputs_; }
  // A thread's own copies of up to kFewRows normalised rows and converted inputs: with so few, every thread
  // making its own is faster than waiting for another's.
  static constexpr int kFewRows = 8;
  float* own_hidden(int worker, int row) const { return own_hidden_ + (worker * kFewRows + row) * ldx_; }
  Inputs& own_inputs(int worker) { return own_inputs_[static_cast<std::size_t>(worker)]; }

 private:
  int rows_;
  std::ptrdiff_t ldx_, ldw_, scores_size_;
  Memory memory_;
  float *hidden_, *wide_, *scores_, *own_hidden_;
  Inputs inputs_;
  std::vector<Inputs> own_inputs_;
};

// Rows of a workspace that lie behind each other in one sequence: positions `start`.. of `cache`.
struct Span {
  Cache* cache;
  int start, rows;
};

// Runs all blocks on the rows workspace.x(0..) of `n` spans in order, whose keys and values join their caches,
// and leaves the final hidden states of rows `wanted`.. in workspace.hidden(wanted..). With as many wanted as
// there are rows only the caches are filled. Causal: a row sees the positions of its sequence up to its own;
// else it sees all of its span and before. What a row becomes does not depend on the other spans.
void run_blocks(ThreadPool& pool, const Model& model, Workspace& workspace, const Span* spans, int n,
                int wanted);

}  // namespace ob

// Rows of a causal stage: their caches, what they have read, and whole runs of drawn tokens, together or alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "interface.h"
#include "sampling.h"
#include "transformer.h"

namespace ob {

using DrawRules = ::ob_draw_rules;
using Run = ::ob_run;

enum class Stop : int {
  kLimit = OB_STOP_LIMIT,
  kEnd = OB_STOP_END,
  kEndProbability = OB_STOP_END_PROBABILITY,
  kCancelled = OB_STOP_CANCELLED
};

// Memory of one computation. Sessions borrow it, so that rows at rest hold only their caches.
struct Scratch {
  Scratch(const Model& model, int rows, int workers);

  Workspace workspace;
  std::vector<float> logits;  // [up to kRunRows, n_out], by head row
};

// What the sessions of one model share. The pool and the model must outlive it.
class CausalStage {
 public:
  CausalStage(ThreadPool& pool, const Model& model) : pool_(pool), alone_(1, pool.kernels()), model_(model) {}

  ThreadPool& pool() const { return pool_; }
  const Model& model() const { return model_; }

  // Advances n sessions of this stage together: each draws up to its rules.n_steps tokens, reading each one but
  // the last, which waits for the next call. The weights are read once for all that draw at the same step;
  // those that end early make room. Small models do without: each thread then draws for sessions of its own, and
  // waits for no other. A session's tokens do not depend on the others. Throws before anything is drawn when a
  // run cannot be made.
  void draw(Run* runs, int n);

  std::unique_ptr<Scratch> take();
  void give(std::unique_ptr<Scratch> scratch);

 private:
  void check(Run* runs, int n) const;
  // On the threads of `pool`, in one step after the other.
  void draw_together(ThreadPool& pool, Run* runs, int n);
  // How many parts of work on `n` sessions are to be done side by side, each on one thread.
  int parts(int n) const;

  ThreadPool& pool_;
  ThreadPool alone_;  // for work on one thread of `pool_`
  const Model& model_;
  std::vector<std::unique_ptr<Scratch>> idle_;  // guarded by fork_mutex()
};

class CausalSession {
 public:
  // The stage must outlive the session.
  explicit CausalSession(CausalStage& stage);

  // Reads a prompt from position 0; the first n_summed positions also receive the embeddings of `summed`.
  // Positions that hold the same tokens already are kept as they are.
  void prefill(const std::int64_t* ids, int n, const std::int64_t* summed, int n_summed);
  void step(std::int64_t id);
  // All logits [n_out] after the last position.
  void logits(float* out);

  int n_reused() const { return n_reused_; }

 private:
  friend class CausalStage;
  friend class DrawingRows;

  struct Token {
    std::int32_t id, summed;
    bool operator==(const Token& other) const { return id == other.id && summed == other.summed; }
  };

  void check(std::int64_t id) const;
  void check_room(int n) const;
  void embed(const Token& token, int position, float* x) const;
  void read(Workspace& workspace, const std::vector<Token>& tokens, int from);
  void keep(const float* hidden);
  Token pending() const { return {static_cast<std::int32_t>(pending_), -1}; }
  void have_read(const Token& token, const float* hidden);
  void read_pending(Workspace& workspace);

  CausalStage& stage_;
  Cache cache_;
  std::vector<Token> tokens_;  // of the filled positions
  std::vector<float> hidden_;  // after the last position; empty before the first prompt
  std::int64_t pending_ = -1;  // drawn, not read
  int n_reused_ = 0;
  std::vector<float> support_;
  Sampler sampler_;
};

}  // namespace ob

// One row of a causal stage: its cache, what it has read, and whole runs of drawn tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "sampling.h"
#include "transformer.h"

namespace ob {

// What may be drawn, and how many times; part of the C interface. Token number t of the request comes from
// the `n_tokens` head rows from `first_token + (t % n_turns) * n_tokens` on; `end_token` (-1: none) may be
// drawn besides, and ends the run.
struct DrawRules {
  Sampling sampling;
  std::uint64_t seed;
  std::int32_t stage, first_step, n_steps;
  std::int32_t first_token, n_tokens, n_turns, end_token;
};

enum class Stop : int { kLimit = 0, kEnd = 1, kEndProbability = 2, kCancelled = 3 };

class CausalSession {
 public:
  // The model and the pool must outlive the session.
  CausalSession(ThreadPool& pool, const Model& model);

  // Reads a prompt from position 0; the first n_summed positions also receive the embeddings of `summed`.
  // Positions that hold the same tokens already are kept as they are.
  void prefill(const std::int64_t* ids, int n, const std::int64_t* summed, int n_summed);
  void step(std::int64_t id);
  // All logits [n_out] after the last position.
  void logits(float* out);
  // Draws tokens into out[0..returned), reading each one but the last, which waits for the next call.
  // `cancel` is looked at before every step.
  int draw(const DrawRules& rules, const volatile std::int32_t* cancel, std::int32_t* out, Stop* stop);

  int n_reused() const { return n_reused_; }

 private:
  struct Token {
    std::int32_t id, summed;
    bool operator==(const Token& other) const { return id == other.id && summed == other.summed; }
  };

  void check(std::int64_t id) const;
  void embed(const Token& token, int position, float* x) const;
  void read(const std::vector<Token>& tokens, int from);
  void read_pending();
  void head_rows(int first, int last);

  ThreadPool& pool_;
  const Model& model_;
  Cache cache_;
  Workspace workspace_;
  std::vector<Token> tokens_;       // of the filled positions
  std::vector<float> logits_;       // by head row
  std::vector<float> support_;
  const float* hidden_ = nullptr;   // after the last position
  std::int64_t pending_ = -1;       // drawn, not read
  int n_reused_ = 0;
  Sampler sampler_;
};

}  // namespace ob

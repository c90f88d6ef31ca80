#include "causal.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ob {

namespace {

// Positions of a prompt computed together: enough to keep the arithmetic busy, few enough for the cache.
constexpr int kPrefillRows = 256;

}  // namespace

CausalSession::CausalSession(ThreadPool& pool, const Model& model)
    : pool_(pool),
      model_(model),
      cache_(model, model.shape().block_size),
      workspace_(model, cache_, std::min<int>(kPrefillRows, model.shape().block_size), pool.size()),
      logits_(static_cast<std::size_t>(model.shape().n_out)) {}

void CausalSession::check(std::int64_t id) const {
  if (id < 0 || id >= model_.shape().n_in) {
    throw std::invalid_argument("token " + std::to_string(id) + " is outside 0.." +
                                std::to_string(model_.shape().n_in - 1));
  }
}

void CausalSession::embed(const Token& token, int position, float* x) const {
  const std::ptrdiff_t width = model_.shape().n_embd;
  const float* row = model_.table(0) + token.id * width;
  const float* more = token.summed < 0 ? nullptr : model_.table(0) + token.summed * width;
  const float* place = model_.position(position);
  for (std::ptrdiff_t i = 0; i < width; ++i) x[i] = (more ? row[i] + more[i] : row[i]) + place[i];
}

void CausalSession::read(const std::vector<Token>& tokens, int from) {
  const int n = static_cast<int>(tokens.size());
  if (n > model_.shape().block_size) {
    throw std::invalid_argument("position " + std::to_string(n - 1) + " is beyond block_size " +
                                std::to_string(model_.shape().block_size));
  }
  tokens_.assign(tokens.begin(), tokens.begin() + from);
  for (int start = from; start < n; start += workspace_.rows()) {
    const int rows = std::min(workspace_.rows(), n - start);
    for (int row = 0; row < rows; ++row) {
      embed(tokens[static_cast<std::size_t>(start + row)], start + row, workspace_.x(row));
    }
    const int wanted = start + rows == n ? rows - 1 : rows;
    run_blocks(pool_, model_, cache_, workspace_, rows, start, wanted);
    hidden_ = workspace_.hidden(wanted == rows ? 0 : wanted);
  }
  tokens_ = tokens;
}

void CausalSession::prefill(const std::int64_t* ids, int n, const std::int64_t* summed, int n_summed) {
  if (n < 1 || n_summed > n) throw std::invalid_argument("a prompt needs at least one token");
  std::vector<Token> tokens(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    check(ids[i]);
    if (i < n_summed) check(summed[i]);
    tokens[static_cast<std::size_t>(i)] = {static_cast<std::int32_t>(ids[i]),
                                           i < n_summed ? static_cast<std::int32_t>(summed[i]) : -1};
  }
  pending_ = -1;
  const auto most = std::min(tokens.size() - 1, tokens_.size());
  n_reused_ = 0;
  while (static_cast<std::size_t>(n_reused_) < most &&
         tokens[static_cast<std::size_t>(n_reused_)] == tokens_[static_cast<std::size_t>(n_reused_)]) {
    ++n_reused_;
  }
  read(tokens, n_reused_);
}

void CausalSession::step(std::int64_t id) {
  check(id);
  read_pending();
  const int position = static_cast<int>(tokens_.size());
  if (position == 0) throw std::invalid_argument("a session starts with a prompt");
  if (position >= model_.shape().block_size) {
    throw std::invalid_argument("position " + std::to_string(position) + " is beyond block_size " +
                                std::to_string(model_.shape().block_size));
  }
  const Token token{static_cast<std::int32_t>(id), -1};
  embed(token, position, workspace_.x(0));
  run_blocks(pool_, model_, cache_, workspace_, 1, position, 0);
  hidden_ = workspace_.hidden(0);
  tokens_.push_back(token);
}

void CausalSession::read_pending() {
  if (pending_ < 0) return;
  const std::int64_t id = pending_;
  pending_ = -1;
  step(id);
}

void CausalSession::head_rows(int first, int last) {
  for (const HeadPart& part : model_.head()) {
    const int from = std::max(first, part.first) - part.first;
    const int to = std::min(last, part.first + part.matrix.n) - part.first;
    if (from >= to) continue;
    const int aligned = from / kPanel * kPanel;  // rows of a panel are computed together
    const Matrix rows = rows_from(pool_.kernels(), part.matrix, aligned);
    linear(pool_, rows, 1, to - aligned, hidden_, static_cast<int>(workspace_.ldx()), Finish::kStore,
           logits_.data() + part.first + aligned, 0, workspace_.inputs());
  }
}

void CausalSession::logits(float* out) {
  read_pending();
  if (hidden_ == nullptr) throw std::invalid_argument("a session starts with a prompt");
  head_rows(0, model_.shape().n_out);
  std::copy(logits_.begin(), logits_.end(), out);
}

int CausalSession::draw(const DrawRules& rules, const volatile std::int32_t* cancel, std::int32_t* out,
                        Stop* stop) {
  const int span = rules.first_token + rules.n_turns * rules.n_tokens;
  if (hidden_ == nullptr || rules.first_token < 0 || rules.n_tokens < 1 || rules.n_turns < 1 ||
      span > model_.shape().n_out || rules.end_token >= model_.shape().n_out) {
    throw std::invalid_argument("rows to draw from are outside the head, or there is no prompt");
  }
  *stop = Stop::kLimit;
  int count = 0;
  while (count < rules.n_steps) {
    if (cancel != nullptr && *cancel != 0) {
      *stop = Stop::kCancelled;
      break;
    }
    read_pending();
    const int step = rules.first_step + count;
    const int first = rules.first_token + step % rules.n_turns * rules.n_tokens;
    head_rows(first, first + rules.n_tokens);
    support_.assign(logits_.begin() + first, logits_.begin() + first + rules.n_tokens);
    if (rules.end_token >= 0) {
      head_rows(rules.end_token, rules.end_token + 1);
      support_.push_back(logits_[static_cast<std::size_t>(rules.end_token)]);
    }
    const int n = static_cast<int>(support_.size());
    const int index =
        sampler_.draw(support_.data(), n, rules.sampling, uniform(rules.seed, rules.stage, step, 0));
    if (rules.end_token >= 0) {
      if (index == rules.n_tokens) *stop = Stop::kEnd;
      else if (sampler_.probability(n - 1) >= rules.sampling.min_eos_p) *stop = Stop::kEndProbability;
      if (*stop != Stop::kLimit) break;
    }
    out[count++] = first + index;
    pending_ = first + index;
  }
  return count;
}

}  // namespace ob

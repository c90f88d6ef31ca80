#include "causal.h"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>

namespace ob {

namespace {

// Positions of a prompt computed together: enough to keep the arithmetic busy, few enough for the cache.
constexpr int kPrefillRows = 256;
// Rows that draw together; more of them take turns.
constexpr int kRunRows = 64;

int rows_together(const Model& model) { return std::min<int>(kPrefillRows, model.shape().block_size); }

// A stage's scratch memory for as long as a call needs it.
class Borrowed {
 public:
  explicit Borrowed(CausalStage& stage) : stage_(stage), scratch_(stage.take()) {}
  ~Borrowed() { stage_.give(std::move(scratch_)); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  Scratch& operator*() const { return *scratch_; }
  Scratch* operator->() const { return scratch_.get(); }

 private:
  CausalStage& stage_;
  std::unique_ptr<Scratch> scratch_;
};

// Head rows first..last for m rows of the workspace's hidden states from `row` on, into logits[i, first..last).
void head_rows(ThreadPool& pool, const Model& model, Scratch& scratch, int row, int m, int first, int last) {
  Workspace& w = scratch.workspace;
  const int n_out = model.shape().n_out;
  for (const HeadPart& part : model.head()) {
    const int from = std::max(first, part.first) - part.first;
    const int to = std::min(last, part.first + part.matrix.n) - part.first;
    if (from >= to) continue;
    const int aligned = from / kPanel * kPanel;  // rows of a panel are computed together
    const Matrix rows = rows_from(pool.kernels(), part.matrix, aligned);
    float* out = scratch.logits.data() + static_cast<std::ptrdiff_t>(row) * n_out + part.first + aligned;
    linear(pool, rows, m, to - aligned, w.hidden(row), static_cast<int>(w.ldx()), Epilogue::kStore, out, n_out,
           w.inputs());
  }
}

}  // namespace

Scratch::Scratch(const Model& model, int rows, int workers) : workspace(model, rows, workers) {}

std::unique_ptr<Scratch> CausalStage::take() {
  {
    const std::lock_guard<std::mutex> lock(fork_mutex());
    if (!idle_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(idle_.back());
      idle_.pop_back();
      return scratch;
    }
    idle_.reserve(idle_.capacity() + 1);  // giving back must not fail
  }
  return std::make_unique<Scratch>(model_, rows_together(model_), pool_.size());
}

void CausalStage::give(std::unique_ptr<Scratch> scratch) {
  const std::lock_guard<std::mutex> lock(fork_mutex());
  idle_.push_back(std::move(scratch));
}

CausalSession::CausalSession(CausalStage& stage)
    : stage_(stage),
      cache_(stage.model().shape(), stage.model().shape().block_size, stage.model().shape().n_layer),
      sampler_(stage.pool().kernels().isa) {}

void CausalSession::check(std::int64_t id) const {
  const int n_in = stage_.model().shape().n_in;
  if (id < 0 || id >= n_in) {
    throw std::invalid_argument("token " + std::to_string(id) + " is outside 0.." + std::to_string(n_in - 1));
  }
}

void CausalSession::check_room(int n) const {
  const int block_size = stage_.model().shape().block_size;
  if (n > block_size) {
    throw std::invalid_argument("position " + std::to_string(n - 1) + " is beyond block_size " +
                                std::to_string(block_size));
  }
}

void CausalSession::embed(const Token& token, int position, float* x) const {
  const Model& model = stage_.model();
  const std::ptrdiff_t width = model.shape().n_embd;
  const float* row = model.table(0) + token.id * width;
  const float* more = token.summed < 0 ? nullptr : model.table(0) + token.summed * width;
  const float* place = model.position(position);
  for (std::ptrdiff_t i = 0; i < width; ++i) x[i] = (more ? row[i] + more[i] : row[i]) + place[i];
}

void CausalSession::keep(const float* hidden) {
  hidden_.assign(hidden, hidden + stage_.model().shape().n_embd);
}

void CausalSession::have_read(const Token& token, const float* hidden) {
  tokens_.push_back(token);
  keep(hidden);
  pending_ = -1;
}

void CausalSession::read(Workspace& workspace, const std::vector<Token>& tokens, int from) {
  const int n = static_cast<int>(tokens.size());
  check_room(n);
  tokens_.assign(tokens.begin(), tokens.begin() + from);
  for (int start = from; start < n; start += workspace.rows()) {
    const int rows = std::min(workspace.rows(), n - start);
    for (int row = 0; row < rows; ++row) {
      embed(tokens[static_cast<std::size_t>(start + row)], start + row, workspace.x(row));
    }
    const int wanted = start + rows == n ? rows - 1 : rows;
    const Span span{&cache_, start, rows};
    run_blocks(stage_.pool(), stage_.model(), workspace, &span, 1, wanted);
    if (wanted < rows) keep(workspace.hidden(wanted));
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
  const ThreadPool::ActiveScope active(stage_.pool());
  read(Borrowed(stage_)->workspace, tokens, n_reused_);
}

void CausalSession::read_pending(Workspace& workspace) {
  if (pending_ < 0) return;
  const auto position = static_cast<int>(tokens_.size());
  check_room(position + 1);
  embed(pending(), position, workspace.x(0));
  const Span span{&cache_, position, 1};
  run_blocks(stage_.pool(), stage_.model(), workspace, &span, 1, 0);
  have_read(pending(), workspace.hidden(0));
}

void CausalSession::step(std::int64_t id) {
  check(id);
  if (hidden_.empty()) throw std::invalid_argument("a session starts with a prompt");
  const ThreadPool::ActiveScope active(stage_.pool());
  const Borrowed scratch(stage_);
  read_pending(scratch->workspace);
  pending_ = id;
  read_pending(scratch->workspace);
}

void CausalSession::logits(float* out) {
  if (hidden_.empty()) throw std::invalid_argument("a session starts with a prompt");
  const ThreadPool::ActiveScope active(stage_.pool());
  const Borrowed scratch(stage_);
  read_pending(scratch->workspace);
  const int n_out = stage_.model().shape().n_out;
  scratch->logits.resize(std::max(scratch->logits.size(), static_cast<std::size_t>(n_out)));
  std::copy(hidden_.begin(), hidden_.end(), scratch->workspace.hidden(0));
  head_rows(stage_.pool(), stage_.model(), *scratch, 0, 1, 0, n_out);
  std::copy(scratch->logits.begin(), scratch->logits.begin() + n_out, out);
}

// The runs of one call that are still drawing, step by step.
class DrawingRows {
 public:
  // While other threads compute on the pool, the sequences are decoded by `alone`, the calling thread: a step waits
  // for memory more than for arithmetic, so one thread is not much slower, and the other computations continue.
  DrawingRows(ThreadPool& pool, ThreadPool& alone, const Model& model, Scratch& scratch, Run* runs, int n)
      : shared_(pool), alone_(alone), pool_(&pool), model_(model), scratch_(scratch) {
    for (int i = 0; i < n; ++i) active_.push_back(runs + i);
    const auto n_out = static_cast<std::size_t>(model.shape().n_out);
    scratch.logits.resize(std::max(scratch.logits.size(), active_.size() * n_out));
    spans_.reserve(active_.size());
  }

  // One token for every row that may go on. False once there is none.
  bool step() {
    const auto ended = [](Run* run) {
      if (run->stop != static_cast<int>(Stop::kLimit) || run->count >= run->rules->n_steps) return true;
      if (run->cancel == nullptr || *run->cancel == 0) return false;
      run->stop = static_cast<int>(Stop::kCancelled);
      return true;
    };
    active_.erase(std::remove_if(active_.begin(), active_.end(), ended), active_.end());
    if (active_.empty()) return false;
    pool_ = shared_.contended() ? &alone_ : &shared_;
    read_pending();
    compute_logits();
    const int n = static_cast<int>(active_.size());
    pool_->parallel(n, [this](int index, int) { draw(index); });
    return true;
  }

 private:
  static int first_row(const Run& run) {
    const DrawRules& rules = *run.rules;
    return rules.first_token + (rules.first_step + run.count) % rules.n_codebooks * rules.n_tokens;
  }

  void read_pending() {
    Workspace& w = scratch_.workspace;
    spans_.clear();
    for (const Run* run : active_) {
      CausalSession& row = *run->session;
      if (row.pending_ < 0) continue;
      const auto position = static_cast<int>(row.tokens_.size());
      row.embed(row.pending(), position, w.x(static_cast<int>(spans_.size())));
      spans_.push_back({&row.cache_, position, 1});
    }
    if (spans_.empty()) return;
    run_blocks(*pool_, model_, w, spans_.data(), static_cast<int>(spans_.size()), 0);
    int at = 0;
    for (const Run* run : active_) {
      CausalSession& row = *run->session;
      if (row.pending_ < 0) continue;
      row.have_read(row.pending(), w.hidden(at++));
    }
  }

  // Rows that draw from the same rows of the head lie side by side: one product for all of them.
  void compute_logits() {
    std::stable_sort(active_.begin(), active_.end(), [](const Run* a, const Run* b) {
      if (first_row(*a) != first_row(*b)) return first_row(*a) < first_row(*b);
      return a->rules->end_token < b->rules->end_token;
    });
    const int n = static_cast<int>(active_.size());
    for (int i = 0; i < n; ++i) {
      const std::vector<float>& hidden = at(i).session->hidden_;
      std::copy(hidden.begin(), hidden.end(), scratch_.workspace.hidden(i));
    }
    for (int i = 0; i < n;) {
      const DrawRules& rules = *at(i).rules;
      const int first = first_row(at(i));
      int last = i + 1;
      while (last < n && first_row(at(last)) == first && at(last).rules->n_tokens == rules.n_tokens &&
             at(last).rules->end_token == rules.end_token) {
        ++last;
      }
      head_rows(*pool_, model_, scratch_, i, last - i, first, first + rules.n_tokens);
      if (rules.end_token >= 0) {
        head_rows(*pool_, model_, scratch_, i, last - i, rules.end_token, rules.end_token + 1);
      }
      i = last;
    }
  }

  void draw(int index) {
    Run& run = at(index);
    const DrawRules& rules = *run.rules;
    CausalSession& row = *run.session;
    const float* logits =
        scratch_.logits.data() + static_cast<std::ptrdiff_t>(index) * model_.shape().n_out;
    const int first = first_row(run);
    row.support_.assign(logits + first, logits + first + rules.n_tokens);
    if (rules.end_token >= 0) row.support_.push_back(logits[rules.end_token]);
    const int n = static_cast<int>(row.support_.size());
    const double number = uniform(rules.seed, rules.stage, rules.first_step + run.count, 0);
    const int drawn = row.sampler_.draw(row.support_.data(), n, rules.sampling, number);
    if (rules.end_token >= 0) {
      Stop stop = Stop::kLimit;
      if (drawn == rules.n_tokens) stop = Stop::kEnd;
      else if (row.sampler_.reaches(n - 1, rules.sampling.min_eos_p)) stop = Stop::kEndProbability;
      run.stop = static_cast<int>(stop);
      if (stop != Stop::kLimit) return;
    }
    run.out[run.count++] = first + drawn;
    row.pending_ = first + drawn;
  }

  Run& at(int index) const { return *active_[static_cast<std::size_t>(index)]; }

  ThreadPool &shared_, &alone_;
  ThreadPool* pool_;  // of the current step
  const Model& model_;
  Scratch& scratch_;
  std::vector<Run*> active_;
  std::vector<Span> spans_;
};

void CausalStage::check(Run* runs, int n) const {
  const int n_out = model_.shape().n_out;
  for (int i = 0; i < n; ++i) {
    Run& run = runs[i];
    const DrawRules& rules = *run.rules;
    const int span = rules.first_token + rules.n_codebooks * rules.n_tokens;
    if (run.session->hidden_.empty() || rules.first_token < 0 || rules.n_tokens < 1 || rules.n_codebooks < 1 ||
        rules.first_step < 0 || span > n_out || rules.end_token >= n_out) {
      throw std::invalid_argument("rows to draw from are outside the head, or there is no prompt");
    }
    for (int other = 0; other < i; ++other) {
      if (runs[other].session == run.session) throw std::invalid_argument("a session is there twice");
    }
    if (&run.session->stage_ != this) throw std::invalid_argument("a session of another model");
    const bool waiting = run.session->pending_ >= 0;
    run.session->check_room(static_cast<int>(run.session->tokens_.size()) + waiting + rules.n_steps - 1);
    run.count = 0;
    run.stop = static_cast<int>(Stop::kLimit);
  }
}

int CausalStage::parts(int n) const {
  // Weights that nearly fit the caches next to the cores may as well be read by each of them.
  constexpr std::size_t kNear = std::size_t{4} << 20;
  return model_.block_bytes() <= kNear ? std::min(n, pool_.size()) : 1;
}

void CausalStage::draw_together(ThreadPool& pool, Run* runs, int n) {
  const Borrowed scratch(*this);
  const int together = std::min(kRunRows, rows_together(model_));
  for (int first = 0; first < n; first += together) {
    DrawingRows rows(pool, alone_, model_, *scratch, runs + first, std::min(together, n - first));
    while (rows.step()) {
    }
  }
}

void CausalStage::draw(Run* runs, int n) {
  check(runs, n);
  const ThreadPool::ActiveScope active(pool_);
  const int count = pool_.contended() ? 1 : parts(n);
  if (count <= 1) return draw_together(pool_, runs, n);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  pool_.parallel(count, [&](int part, int) {
    const int first = n * part / count;
    try {
      draw_together(alone_, runs + first, n * (part + 1) / count - first);
    } catch (...) {
      errors[static_cast<std::size_t>(part)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace ob

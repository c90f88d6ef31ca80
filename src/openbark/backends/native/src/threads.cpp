#include "threads.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <stdexcept>
#include <string>
#include <system_error>

#include "cpu.h"

namespace ob {

namespace {

// Longer than the draw of a token, which is the serial part between two decode steps; too short to be noticed.
constexpr std::chrono::microseconds kSpin{400};
constexpr int kPausesPerLook = 32;
constexpr int kLooksAtEnd = 2000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The pools of the process: the child of a fork must know them all. Never destroyed, as pools may outlive it at exit.
struct Pools {
  Pools() {
    pthread_atfork([] { fork_mutex().lock(); }, [] { fork_mutex().unlock(); }, [] { after_fork_in_child(); });
  }

  static Pools& of_process() {
    static Pools* pools = new Pools;
    return *pools;
  }

  static void after_fork_in_child() {
    for (ThreadPool* pool : of_process().all) pool->after_fork_in_child();
    fork_mutex().unlock();
  }

  std::vector<ThreadPool*> all;  // guarded by fork_mutex()
};

}  // namespace

std::mutex& fork_mutex() {
  static std::mutex* mutex = new std::mutex;
  return *mutex;
}

// The threads of a pool besides the callers', and all that they share with them.
class ThreadPool::Workers {
 public:
  Workers(int size, bool spin) : size_(size), spin_(spin ? kSpin : kSpin.zero()), looks_(spin ? kLooksAtEnd : 0) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(int count, Call call, void* body);
  bool run_team(Call call, void* body);

  alignas(64) std::atomic<int> active{0};  // callers that compute on the pool

 private:
  // Threads that may share a loop now, its caller included.
  int free_threads() const { return size_ - std::max(0, active.load(std::memory_order_relaxed) - 1); }
  // Both with `loop_mutex_` locked, or from the destructor.
  void start();
  void stop();
  void wake_sleepers();
  void claim(int worker);
  void serve(int worker, std::uint32_t seen);
  // Waits for a loop, or a team after number `seen`; false when the pool ends.
  bool wait_for_work(std::uint32_t seen, int worker);
  bool has_work(std::uint32_t seen, int worker) const;

  const int size_;
  const std::chrono::microseconds spin_;
  const int looks_;
  std::vector<std::thread> threads_;
  std::mutex loop_mutex_;  // the workers serve one loop at a time
  Call call_ = nullptr;
  void* body_ = nullptr;
  // Iterations that no thread has claimed yet, and those that are done. A thread that claims one by lowering
  // `unclaimed_` belongs to the current loop: the loop cannot end before that iteration is done.
  alignas(64) std::atomic<int> unclaimed_{0};
  alignas(64) std::atomic<int> done_{0};
  // Teams started, and workers that have not left the current one.
  alignas(64) std::atomic<std::uint32_t> teams_{0};
  alignas(64) std::atomic<int> members_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

ThreadPool::ThreadPool(int threads, const Kernels& kernels)
    : kernels_(kernels),
      size_(threads > 0 ? threads : usable_cores()),
      oversubscribed_(size_ > 1 && size_ > usable_cores()),
      workers_(std::make_unique<Workers>(size_, !oversubscribed_)) {
  Pools& pools = Pools::of_process();
  const std::lock_guard<std::mutex> lock(fork_mutex());
  pools.all.push_back(this);
}

ThreadPool::~ThreadPool() {
  const std::lock_guard<std::mutex> lock(fork_mutex());
  std::vector<ThreadPool*>& all = Pools::of_process().all;
  all.erase(std::remove(all.begin(), all.end(), this), all.end());
}

void ThreadPool::after_fork_in_child() noexcept {
  // Not destroyed: its threads do not exist here, and its locks may be held by threads that do not exist either.
  static_cast<void>(workers_.release());
  workers_ = std::make_unique<Workers>(size_, !oversubscribed_);
}

ThreadPool::ActiveScope::ActiveScope(ThreadPool& pool) : pool_(pool) { pool_.workers_->active.fetch_add(1); }

ThreadPool::ActiveScope::~ActiveScope() { pool_.workers_->active.fetch_sub(1); }

bool ThreadPool::contended() const { return workers_->active.load(std::memory_order_relaxed) > 1; }

void ThreadPool::run(int count, Call call, void* body) { workers_->run(count, call, body); }

bool ThreadPool::run_team(Call call, void* body) { return workers_->run_team(call, body); }

void ThreadPool::Workers::start() {
  if (!threads_.empty()) return;
  const std::uint32_t seen = teams_.load();
  threads_.reserve(static_cast<std::size_t>(size_ - 1));
  try {
    for (int worker = 1; worker < size_; ++worker) {
      threads_.emplace_back([this, worker, seen] { serve(worker, seen); });
    }
  } catch (const std::system_error& error) {
    const std::size_t started = threads_.size() + 1;
    stop();
    throw std::runtime_error("only " + std::to_string(started) + " of " + std::to_string(size_) +
                             " threads could be started (" + error.code().message() + "); give threads=" +
                             std::to_string(started) + " or fewer, or raise the limit of the system");
  }
}

void ThreadPool::Workers::stop() {
  stop_.store(true);
  {
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  stop_.store(false);
}

void ThreadPool::Workers::run(int count, Call call, void* body) {
  std::unique_lock<std::mutex> one_loop(loop_mutex_, std::defer_lock);
  if (count <= 1 || size_ == 1 || free_threads() <= 1 || !one_loop.try_lock()) {
    for (int index = 0; index < count; ++index) call(body, index, 0);
    return;
  }
  start();
  call_ = call;
  body_ = body;
  done_.store(0, std::memory_order_relaxed);
  unclaimed_.store(count);
  wake_sleepers();
  claim(0);
  for (Backoff backoff(looks_); done_.load(std::memory_order_acquire) < count; backoff.wait()) pause();
}

bool ThreadPool::Workers::run_team(Call call, void* body) {
  std::unique_lock<std::mutex> one_loop(loop_mutex_, std::defer_lock);
  if (size_ == 1 || free_threads() < size_ || !one_loop.try_lock()) return false;
  start();
  call_ = call;
  body_ = body;
  members_.store(size_ - 1, std::memory_order_relaxed);
  teams_.fetch_add(1);
  wake_sleepers();
  call(body, 0, 0);
  for (Backoff backoff(looks_); members_.load(std::memory_order_acquire) > 0; backoff.wait()) pause();
  return true;
}

void ThreadPool::Workers::wake_sleepers() {
  // Sequentially consistent on both sides: either we see the sleeper or it sees the work.
  if (sleepers_.load() == 0) return;
  const std::lock_guard<std::mutex> lock(sleep_mutex_);
  wake_.notify_all();
}

void ThreadPool::Workers::claim(int worker) {
  int left = unclaimed_.load(std::memory_order_acquire);
  // The caller stays until its loop ends; workers leave when another active thread needs their core.
  while (left > 0 && (worker == 0 || worker < free_threads())) {
    if (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) continue;
    call_(body_, left - 1, worker);
    done_.fetch_add(1, std::memory_order_release);
    left = unclaimed_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Workers::serve(int worker, std::uint32_t seen) {
  while (wait_for_work(seen, worker)) {
    if (teams_.load(std::memory_order_acquire) == seen) {
      claim(worker);
      continue;
    }
    ++seen;
    call_(body_, worker, worker);
    members_.fetch_sub(1, std::memory_order_release);
  }
}

bool ThreadPool::Workers::has_work(std::uint32_t seen, int worker) const {
  return (unclaimed_.load() > 0 && worker < free_threads()) || teams_.load() != seen;
}

bool ThreadPool::Workers::wait_for_work(std::uint32_t seen, int worker) {
  const auto until = std::chrono::steady_clock::now() + spin_;
  do {
    for (int n = 0; n < kPausesPerLook; ++n) {
      if (has_work(seen, worker)) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until && !stop_.load(std::memory_order_relaxed));
  std::unique_lock<std::mutex> lock(sleep_mutex_);
  sleepers_.fetch_add(1);
  wake_.wait(lock, [&] { return has_work(seen, worker) || stop_.load(); });
  sleepers_.fetch_sub(1);
  return !stop_.load();
}

}  // namespace ob

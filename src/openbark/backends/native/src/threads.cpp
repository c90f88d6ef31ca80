#include "threads.h"

#include <algorithm>
#include <chrono>

#include "cpu.h"

namespace ob {

namespace {

// Longer than the draw of a token, which is the serial part between two decode steps; shorter than anyone
// notices.
constexpr std::chrono::microseconds kSpin{400};
constexpr int kPausesPerLook = 32;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads, const Kernels& kernels) : kernels_(kernels) {
  const int wanted = threads > 0 ? threads : usable_cores();
  workers_.reserve(static_cast<std::size_t>(wanted - 1));
  for (int worker = 1; worker < wanted; ++worker) {
    workers_.emplace_back([this, worker] { serve(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  {
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

int ThreadPool::free_threads() const {
  return size() - std::max(0, visitors_.load(std::memory_order_relaxed) - 1);
}

void ThreadPool::run(int count, Call call, void* body) {
  std::unique_lock<std::mutex> one_loop(loop_mutex_, std::defer_lock);
  if (count <= 1 || free_threads() <= 1 || !one_loop.try_lock()) {
    for (int index = 0; index < count; ++index) call(body, index, 0);
    return;
  }
  call_ = call;
  body_ = body;
  done_.store(0, std::memory_order_relaxed);
  unclaimed_.store(count);
  wake_sleepers();
  claim(0);
  for (int looks = 0; done_.load(std::memory_order_acquire) < count; ++looks) {
    // A worker that lost its core in the middle of an iteration needs ours.
    if (looks > 2000) std::this_thread::yield();
    pause();
  }
}

bool ThreadPool::run_team(Call call, void* body) {
  std::unique_lock<std::mutex> one_loop(loop_mutex_, std::defer_lock);
  if (workers_.empty() || free_threads() < size() || !one_loop.try_lock()) return false;
  call_ = call;
  body_ = body;
  members_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  teams_.fetch_add(1);
  wake_sleepers();
  call(body, 0, 0);
  for (int looks = 0; members_.load(std::memory_order_acquire) > 0; ++looks) {
    if (looks > 2000) std::this_thread::yield();
    pause();
  }
  return true;
}

void ThreadPool::wake_sleepers() {
  // Sequentially consistent on both sides: either we see the sleeper or it sees the work.
  if (sleepers_.load() == 0) return;
  const std::lock_guard<std::mutex> lock(sleep_mutex_);
  wake_.notify_all();
}

void ThreadPool::claim(int worker) {
  int left = unclaimed_.load(std::memory_order_acquire);
  // The caller sees its loop through, whoever comes; workers leave when somebody else needs their core.
  while (left > 0 && (worker == 0 || worker < free_threads())) {
    if (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) continue;
    call_(body_, left - 1, worker);
    done_.fetch_add(1, std::memory_order_release);
    left = unclaimed_.load(std::memory_order_acquire);
  }
}

void ThreadPool::serve(int worker) {
  std::uint32_t seen = 0;
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

bool ThreadPool::has_work(std::uint32_t seen, int worker) const {
  return (unclaimed_.load() > 0 && worker < free_threads()) || teams_.load() != seen;
}

bool ThreadPool::wait_for_work(std::uint32_t seen, int worker) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
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

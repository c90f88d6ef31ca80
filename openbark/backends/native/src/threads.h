// A pool of threads that share the iterations of a loop. Knows no arithmetic.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels.h"

namespace ob {

// Loops run one at a time, on the calling thread and `size() - 1` workers. Workers wait for the next loop
// by spinning for a moment, then asleep, so that an idle pool costs nothing. The pool also carries the
// kernels its loops are to use: both are chosen once, when an engine starts.
class ThreadPool {
 public:
  // threads = 0 takes every core the process may use.
  ThreadPool(int threads, const Kernels& kernels);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }
  const Kernels& kernels() const { return kernels_; }

  // Calls task(index, worker) for every index in [0, count), in any order, and returns when all are done.
  // worker is in [0, size()): no two calls of one loop run with the same worker at once. Tasks must not throw
  // and must not start loops themselves.
  template <class Task>
  void parallel(int count, Task&& task) {
    using Body = std::remove_reference_t<Task>;
    run(count, [](void* body, int index, int worker) { (*static_cast<Body*>(body))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

 private:
  using Call = void (*)(void* body, int index, int worker);

  void run(int count, Call call, void* body);
  void claim(int worker);
  void serve(int worker);
  bool wait_for_work();

  const Kernels& kernels_;
  std::vector<std::thread> workers_;
  std::mutex loop_mutex_;  // one loop at a time
  Call call_ = nullptr;
  void* body_ = nullptr;
  // Iterations nobody has claimed yet, and those that are done. Whoever claims one by lowering `unclaimed_`
  // belongs to the current loop: the loop cannot end before that iteration is done.
  alignas(64) std::atomic<int> unclaimed_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

}  // namespace ob

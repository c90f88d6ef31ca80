// A pool of threads that share the iterations of a loop. Knows no arithmetic.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels.h"

namespace ob {

// Keeps the threads of a team in step. Every thread has a line of its own to write, and reads the others'.
class Barrier {
 public:
  explicit Barrier(int threads) : arrivals_(static_cast<std::size_t>(threads)) {}

  int threads() const { return static_cast<int>(arrivals_.size()); }

  // Returns once every thread has called it as often as this one; what they wrote before is then visible.
  // Meanwhile idle() runs over and over: it does something short and useful, or nothing.
  template <class Idle>
  void wait(int worker, Idle&& idle) {
    const auto own = static_cast<std::size_t>(worker);
    const std::uint32_t round = arrivals_[own].count.load(std::memory_order_relaxed) + 1;
    arrivals_[own].count.store(round, std::memory_order_release);
    for (std::size_t other = 0; other < arrivals_.size(); ++other) {
      if (other == own) continue;
      for (int looks = 0; behind(other, round); ++looks) {
        // A thread that lost its core needs ours.
        if (looks > kPatience) std::this_thread::yield();
        idle();
      }
    }
  }

 private:
  static constexpr int kPatience = 20000;
  struct alignas(64) Arrival {
    std::atomic<std::uint32_t> count{0};
  };

  bool behind(std::size_t other, std::uint32_t round) const {
    const std::uint32_t count = arrivals_[other].count.load(std::memory_order_acquire);
    return static_cast<std::int32_t>(count - round) < 0;
  }

  std::vector<Arrival> arrivals_;
};

// Pieces of work that a team shares out, round after round. Every thread has some of its own, which it takes in
// order; then it takes the last ones of others, so that a thread whose core is slow holds nobody up for long.
class Pieces {
 public:
  struct Range {
    int first, last;
  };

  explicit Pieces(int threads) : threads_(threads), left_(static_cast<std::size_t>(2 * threads)) {}

  // The caller's own pieces of a round. Between it and the round's first `take` all threads meet at a barrier;
  // rounds are numbered in order.
  void deal(int worker, int round, Range own) {
    left(worker, round).store(packed(own), std::memory_order_relaxed);
  }

  // Up to `most` pieces that nobody has taken: nothing in them (first == last) means that none are left.
  Range take(int worker, int round, int most) {
    Range got = taken(left(worker, round), [most](Range own) {
      return Range{own.first, std::min(own.last, own.first + most)};
    });
    for (int other = 1; other < threads_ && got.first == got.last; ++other) {
      got = taken(left((worker + other) % threads_, round), [](Range rest) {
        return Range{std::max(rest.first, rest.last - 1), rest.last};
      });
    }
    return got;
  }

 private:
  // Both ends in one word: what is taken from the front is not taken from the back.
  struct alignas(64) Left {
    std::atomic<std::uint64_t> ends{0};
  };

  static std::uint64_t packed(Range range) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(range.last)) << 32 |
           static_cast<std::uint32_t>(range.first);
  }
  static Range unpacked(std::uint64_t ends) {
    return {static_cast<int>(static_cast<std::uint32_t>(ends)), static_cast<int>(ends >> 32)};
  }

  // Rounds alternate: one is dealt while others may still look at the round before.
  std::atomic<std::uint64_t>& left(int worker, int round) {
    return left_[static_cast<std::size_t>(2 * worker + round % 2)].ends;
  }

  // Takes what `choose` wants of a range: its front or its back.
  template <class Choose>
  static Range taken(std::atomic<std::uint64_t>& left, Choose&& choose) {
    std::uint64_t ends = left.load(std::memory_order_relaxed);
    for (;;) {
      const Range rest = unpacked(ends);
      const Range wanted = choose(rest);
      if (wanted.first >= wanted.last) return {0, 0};
      const Range kept = wanted.first == rest.first ? Range{wanted.last, rest.last} : Range{rest.first, wanted.first};
      if (left.compare_exchange_weak(ends, packed(kept), std::memory_order_relaxed)) return wanted;
    }
  }

  int threads_;
  std::vector<Left> left_;
};

// Loops run on the calling thread and up to `size() - 1` workers. Workers wait for the next loop by spinning for
// a moment, then asleep, so that an idle pool costs nothing. Several threads may have loops run at once: the
// workers serve one loop at a time, and of them as many rest as there are other visitors, so that no more threads
// compute than there are cores. The pool also carries the kernels its loops are to use: both are chosen once, when
// an engine starts.
class ThreadPool {
 public:
  // A thread that computes on the pool for a while, from its first loop to its last.
  class Visit {
   public:
    explicit Visit(ThreadPool& pool) : pool_(pool) { pool_.visitors_.fetch_add(1); }
    ~Visit() { pool_.visitors_.fetch_sub(1); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    ThreadPool& pool_;
  };

  // threads = 0 takes every core the process may use.
  ThreadPool(int threads, const Kernels& kernels);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }
  const Kernels& kernels() const { return kernels_; }
  // Whether other threads compute on the pool besides one that visits it.
  bool crowded() const { return visitors_.load(std::memory_order_relaxed) > 1; }

  // Calls task(index, worker) for every index in [0, count), in any order, and returns when all are done.
  // worker is in [0, size()): no two calls of one loop run with the same worker at once. Tasks must not throw
  // and must not start loops themselves.
  template <class Task>
  void parallel(int count, Task&& task) {
    using Body = std::remove_reference_t<Task>;
    run(count, [](void* body, int index, int worker) { (*static_cast<Body*>(body))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

  // Calls task(worker, barrier) once on every thread of the barrier, all at the same time, and returns when all
  // are done: for work whose parts wait for each other. These are all threads, or in a crowd the calling one
  // alone. As with loops, no exceptions and nothing nested.
  template <class Task>
  void team(Task&& task) {
    using Body = std::remove_reference_t<Task>;
    struct Team {
      Body& body;
      Barrier barrier;
    } together{task, Barrier(size())};
    const bool ran = run_team([](void* body, int, int worker) {
      auto& team = *static_cast<Team*>(body);
      team.body(worker, team.barrier);
    }, &together);
    if (ran) return;
    Barrier alone(1);
    task(0, alone);
  }

 private:
  using Call = void (*)(void* body, int index, int worker);

  void run(int count, Call call, void* body);
  // False, without a call, when not every thread is free for it.
  bool run_team(Call call, void* body);
  // Threads that may share a loop now, its caller included.
  int free_threads() const;
  void wake_sleepers();
  void claim(int worker);
  void serve(int worker);
  // Waits for a loop, or a team after number `seen`; false when the pool ends.
  bool wait_for_work(std::uint32_t seen, int worker);
  bool has_work(std::uint32_t seen, int worker) const;

  const Kernels& kernels_;
  std::vector<std::thread> workers_;
  std::mutex loop_mutex_;  // the workers serve one loop at a time
  Call call_ = nullptr;
  void* body_ = nullptr;
  // Iterations nobody has claimed yet, and those that are done. Whoever claims one by lowering `unclaimed_`
  // belongs to the current loop: the loop cannot end before that iteration is done.
  alignas(64) std::atomic<int> unclaimed_{0};
  alignas(64) std::atomic<int> done_{0};
  // Teams started, and workers that have not left the current one.
  alignas(64) std::atomic<std::uint32_t> teams_{0};
  alignas(64) std::atomic<int> members_{0};
  alignas(64) std::atomic<int> visitors_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

}  // namespace ob

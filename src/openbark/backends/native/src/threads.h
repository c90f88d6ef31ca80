// A pool of threads that share the iterations of a loop. Knows no arithmetic.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels.h"

namespace ob {

// Waits for what another thread is about to do: spins first, then yields, then sleeps in short intervals, so that a
// thread whose partner lost its core does not take the core that the partner needs.
class Backoff {
 public:
  explicit Backoff(int spins) : left_(spins) {}

  void wait() {
    if (left_ > 0) {
      --left_;
    } else if (left_ > -kYields) {
      --left_;
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }

 private:
  static constexpr int kYields = 100;
  static constexpr std::chrono::microseconds kNap{50};
  int left_;
};

// Keeps the threads of a team in step. Every thread has a cache line of its own to write, and reads the others'.
class Barrier {
 public:
  // spins: how often a thread looks before it yields its core.
  explicit Barrier(int threads, int spins = kSpins) : arrivals_(static_cast<std::size_t>(threads)), spins_(spins) {}

  int threads() const { return static_cast<int>(arrivals_.size()); }

  // Returns once every thread has called it as often as this one; what they wrote before is then visible.
  // Meanwhile idle() is called over and over: it does something short and useful, or nothing.
  template <class Idle>
  void wait(int worker, Idle&& idle) {
    const auto own = static_cast<std::size_t>(worker);
    const std::uint32_t round = arrivals_[own].count.load(std::memory_order_relaxed) + 1;
    arrivals_[own].count.store(round, std::memory_order_release);
    for (std::size_t other = 0; other < arrivals_.size(); ++other) {
      if (other == own) continue;
      for (Backoff backoff(spins_); behind(other, round); backoff.wait()) idle();
    }
  }

  static constexpr int kSpins = 20000;

 private:
  struct alignas(64) Arrival {
    std::atomic<std::uint32_t> count{0};
  };

  bool behind(std::size_t other, std::uint32_t round) const {
    const std::uint32_t count = arrivals_[other].count.load(std::memory_order_acquire);
    return static_cast<std::int32_t>(count - round) < 0;
  }

  std::vector<Arrival> arrivals_;
  const int spins_;
};

// Work items that a team shares, round after round. Every thread is assigned a range, which it takes in order; then
// it steals the last items of the others, so that a slow core does not delay the step for long.
class WorkQueue {
 public:
  struct Range {
    int first, last;
  };

  explicit WorkQueue(int threads) : threads_(threads), left_(static_cast<std::size_t>(2 * threads)) {}

  // The caller's own range of a round. Between it and the round's first `steal` all threads meet at a barrier;
  // rounds are numbered in order.
  void assign(int worker, int round, Range own) {
    left(worker, round).store(packed(own), std::memory_order_relaxed);
  }

  // Up to `most` items that no thread has taken: the next of the caller's own, else the last one of another thread's.
  // An empty range (first == last) means that none are left.
  Range steal(int worker, int round, int most) {
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

  // Rounds alternate: one is assigned while other threads may still read the round before.
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

// Locked while the process forks, so that what it guards is consistent in the child. Hold it for a few instructions.
std::mutex& fork_mutex();

// Loops run on the calling thread and up to `size() - 1` workers, which start with the first loop. Workers wait for the
// next loop by spinning for a moment, then asleep, so that an idle pool costs nothing. Several threads may have loops
// run at once: the workers serve one loop at a time, and fewer of them while other threads are active, so that no more
// threads compute than the pool has. The pool also carries the kernels its loops use: both are chosen once, when an
// engine starts.
//
// After a fork the child has the thread that forked and no other: there the pool starts workers anew with the first
// loop. Computations of other threads end without a result in the child; they continue in the parent.
class ThreadPool {
 public:
  // A thread that computes on the pool for a while, from its first loop to its last.
  class ActiveScope {
   public:
    explicit ActiveScope(ThreadPool& pool);
    ~ActiveScope();
    ActiveScope(const ActiveScope&) = delete;
    ActiveScope& operator=(const ActiveScope&) = delete;

   private:
    ThreadPool& pool_;
  };

  // threads = 0 takes every core the process may use.
  ThreadPool(int threads, const Kernels& kernels);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }
  const Kernels& kernels() const { return kernels_; }
  // Whether other threads compute on the pool besides one that is active on it.
  bool contended() const;

  // Calls task(index, worker) for every index in [0, count), in any order, and returns when all are done.
  // worker is in [0, size()): no two calls of one loop run with the same worker at once. Tasks must not throw
  // and must not start loops themselves. Throws std::runtime_error when the workers cannot be started.
  template <class Task>
  void parallel(int count, Task&& task) {
    using Body = std::remove_reference_t<Task>;
    run(count, [](void* body, int index, int worker) { (*static_cast<Body*>(body))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

  // Calls task(worker, barrier) once on every thread of the barrier, all at the same time, and returns when all
  // are done: for work whose parts wait for each other. These are all threads, or the calling one alone while other
  // threads are active. As with loops, no exceptions and nothing nested.
  template <class Task>
  void team(Task&& task) {
    using Body = std::remove_reference_t<Task>;
    struct Team {
      Body& body;
      Barrier barrier;
    } together{task, Barrier(size(), oversubscribed_ ? 0 : Barrier::kSpins)};
    const bool ran = run_team([](void* body, int, int worker) {
      auto& team = *static_cast<Team*>(body);
      team.body(worker, team.barrier);
    }, &together);
    if (ran) return;
    Barrier alone(1);
    task(0, alone);
  }

  // Forgets the workers, for the child of a fork: they exist in the parent alone.
  void after_fork_in_child() noexcept;

 private:
  class Workers;
  using Call = void (*)(void* body, int index, int worker);

  void run(int count, Call call, void* body);
  // False, without a call, when not every thread is free for it.
  bool run_team(Call call, void* body);

  const Kernels& kernels_;
  const int size_;
  const bool oversubscribed_;  // more threads than cores: spinning would keep the others from working
  std::unique_ptr<Workers> workers_;
};

}  // namespace ob

// Scratch memory and loop splitting shared by the codec sources.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "memory.h"
#include "threads.h"

namespace ob {

// Floats that grow on demand and keep their memory; contents are undefined after growing. They come from the system and
// go back to it: malloc keeps what is freed, and from the second clip on a process would be 16 MB larger.
class Buffer {
 public:
  float* ensure(int64_t count) {
    const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(count);
    if (bytes > memory_.size()) {
      memory_ = Memory();
      memory_ = Memory(bytes);
    }
    return memory_.as<float>();
  }

 private:
  Memory memory_;
};

// Calls body(first, last) on pieces of [0, count) of at least `grain` elements. Like any task of the
// pool, the body must not throw.
template <class Body>
void parallel_ranges(ThreadPool& pool, int64_t count, int64_t grain, Body&& body) {
  // Several pieces for each thread even out a core that is busy elsewhere.
  const int64_t most = pool.size() > 1 ? 4 * static_cast<int64_t>(pool.size()) : 1;
  const int64_t pieces = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, most);
  if (pieces == 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  pool.parallel(static_cast<int>(pieces), [&](int index, int) {
    body(count * index / pieces, count * (index + 1) / pieces);
  });
}

}  // namespace ob

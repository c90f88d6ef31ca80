// Scratch memory and loop splitting shared by the codec sources.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "threads.h"

namespace ob {

// Floats that grow on demand and keep their memory; contents are undefined after growing.
class Buffer {
 public:
  float* ensure(int64_t count) {
    if (count > capacity_) {
      // A plain array new leaves the floats unset: they are about to be written anyway.
      data_.reset(new (kAlignment) float[static_cast<std::size_t>(count)]);
      capacity_ = count;
    }
    return data_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* p) const { operator delete[](p, kAlignment); }
  };

  std::unique_ptr<float[], Free> data_;
  int64_t capacity_ = 0;
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

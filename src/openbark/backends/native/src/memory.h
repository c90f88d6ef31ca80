// Zeroed, aligned memory that is only backed by pages once it is touched.
#pragma once

#include <cstddef>

namespace ob {

class Memory {
 public:
  Memory() = default;
  // Throws std::bad_alloc. Large pieces ask for huge pages: reading weights in order then misses the
  // address cache 512 times less often.
  explicit Memory(std::size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::size_t size() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(start_);
  }

 private:
  void* start_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace ob

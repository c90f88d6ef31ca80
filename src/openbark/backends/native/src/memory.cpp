#include "memory.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace ob {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

Memory::Memory(std::size_t bytes) {
  if (bytes == 0) return;
  const bool large = bytes >= 2 * kHugePage;
  if (large) bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  // Room to move the start to the boundary of a huge page; what is cut off is given back.
  const std::size_t slack = large ? kHugePage : 0;
  void* got = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) throw std::bad_alloc();
  char* start = static_cast<char*>(got);
  if (large) {
    const auto address = reinterpret_cast<std::size_t>(start);
    const std::size_t before = (kHugePage - address % kHugePage) % kHugePage;
    if (before > 0) munmap(start, before);
    start += before;
    if (slack > before) munmap(start + bytes, slack - before);
#if defined(MADV_HUGEPAGE)
    madvise(start, bytes, MADV_HUGEPAGE);
#endif
  }
  start_ = start;
  bytes_ = bytes;
}

Memory::~Memory() {
  if (start_ != nullptr) munmap(start_, bytes_);
}

Memory::Memory(Memory&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(start_, other.start_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace ob

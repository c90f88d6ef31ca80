// A sequence that grows at its end, of which only the recent rows are kept.
#pragma once

#include <cstddef>
#include <vector>

namespace ob {

// Rows [first, last) of a sequence of which only the recent ones are kept.
class RecentRows {
 public:
  explicit RecentRows(int width) : width_(width) {}

  int count() const { return first_ + static_cast<int>(rows_.size() / width()); }
  float* row(int index) { return rows_.data() + static_cast<std::size_t>(index - first_) * width(); }
  // Room for `count` more rows, the first of them.
  float* append(int count) {
    const std::size_t size = rows_.size();
    rows_.resize(size + static_cast<std::size_t>(count) * width());
    return rows_.data() + size;
  }
  void forget_before(int index) {
    if (index <= first_) return;
    const auto dropped = static_cast<std::ptrdiff_t>(index - first_) * width_;
    rows_.erase(rows_.begin(), rows_.begin() + dropped);
    first_ = index;
  }

 private:
  std::size_t width() const { return static_cast<std::size_t>(width_); }

  int width_, first_ = 0;
  std::vector<float> rows_;
};

}  // namespace ob

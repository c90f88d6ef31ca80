// How the rows and columns of a product are shared out among threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include "threads.h"

namespace ob {

// Below this many multiplications a product is not worth waking a second thread.
constexpr double kWorthSharing = 3e4;

// Weights that stay in a core's second-level cache while all rows pass by.
constexpr std::size_t kResident = std::size_t{384} << 10;

// Calls tile(first_row, rows, first_panel, panels, worker) for tiles that cover `rows` x `panels`. A panel has
// `panel_bytes` of weights.
template <class Tile>
void for_each_tile(ThreadPool& pool, int rows, int panels, std::size_t panel_bytes, double work, Tile&& tile) {
  // A multiple of every variant's rows per register tile.
  constexpr int kRowBlock = 48;
  const int threads = work < kWorthSharing ? 1 : pool.size();
  if (threads == 1 && rows <= kRowBlock) return tile(0, rows, 0, panels, 0);
  const int row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  // Few enough iterations to be worth claiming, enough that the last ones end at nearly the same time.
  const int wanted = std::max(1, (row_blocks == 1 ? 4 : 16) * threads / row_blocks);
  const int resident = static_cast<int>(std::max<std::size_t>(1, kResident / panel_bytes));
  const int group = std::max(1, std::min((panels + wanted - 1) / wanted, resident));
  const int groups = (panels + group - 1) / group;
  const auto part = [&](int index, int worker) {
    const int row = index % row_blocks * kRowBlock;
    const int panel = index / row_blocks * group;
    tile(row, std::min(kRowBlock, rows - row), panel, std::min(group, panels - panel), worker);
  };
  if (threads > 1) return pool.parallel(row_blocks * groups, part);
  for (int index = 0; index < row_blocks * groups; ++index) part(index, 0);
}

}  // namespace ob

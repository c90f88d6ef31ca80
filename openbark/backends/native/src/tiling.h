// How the rows and columns of a product are shared out among threads.
#pragma once

#include <algorithm>

#include "threads.h"

namespace ob {

// Below this many multiplications a product is not worth waking a second thread.
constexpr double kWorthSharing = 3e4;

// Calls tile(first_row, rows, first_panel, panels, worker) for tiles that cover `rows` x `panels`.
template <class Tile>
void for_each_tile(ThreadPool& pool, int rows, int panels, double work, Tile&& tile) {
  // A multiple of every variant's rows per register tile; the block then stays in the second-level cache
  // while the weights of the tile pass by.
  constexpr int kRowBlock = 48;
  const int threads = work < kWorthSharing ? 1 : pool.size();
  if (threads == 1) return tile(0, rows, 0, panels, 0);
  const int row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const int wanted = std::max(1, 4 * threads / row_blocks);
  const int group = std::max(1, (panels + wanted - 1) / wanted);
  const int groups = (panels + group - 1) / group;
  pool.parallel(row_blocks * groups, [&](int index, int worker) {
    const int row = index / groups * kRowBlock;
    const int panel = index % groups * group;
    tile(row, std::min(kRowBlock, rows - row), panel, std::min(group, panels - panel), worker);
  });
}

}  // namespace ob

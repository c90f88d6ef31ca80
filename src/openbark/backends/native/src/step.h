// One position of each of a few sequences through all blocks: the decode step.
#pragma once

#include "transformer.h"

namespace ob {

// As run_blocks for `n` spans of one row each, all wanted. Bound by memory, not by arithmetic: the threads stay
// together from the first block to the last, and each reads its own fixed share of every matrix in order.
void run_step(ThreadPool& pool, const Model& model, Workspace& workspace, const Span* spans, int n);

}  // namespace ob

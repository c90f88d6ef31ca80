// The residual LSTM stack of EnCodec on a channels-last sequence.
#pragma once

#include <vector>

#include "codec_linear.h"
#include "codec_workspace.h"

namespace ob {

struct LstmLayer {
  Linear input;                       // of [4 * width, width], gates in the order i, f, g, o; both biases
  std::vector<float> hidden_weight;  // [width, 4, width]: the four rows of a unit together
};

struct ResidualLstm {
  int width = 0;
  std::vector<LstmLayer> layers;
};

// What one layer remembers between two steps, [width] each; empty before the first.
struct LstmState {
  std::vector<float> hidden, cell;
};

// x [length, width] becomes lstm(x) + x, going on from `states`, one for each layer.
void run_lstm(ThreadPool& pool, const ResidualLstm& lstm, int length, float* x,
              std::vector<LstmState>& states);

}  // namespace ob

#include "codec_lstm.h"

#include <atomic>

#include "codec_kernels.h"

namespace ob {
namespace {

// Steps whose input products are computed at once: enough rows for the matrix kernel, while the
// memory stays bounded however long the sequence is.
constexpr int kBlock = 128;
// Multiply-adds below which a step costs less than handing half of it to another thread.
constexpr int64_t kWorthSharing = 1 << 17;
// Units taken together: one vector of them.
constexpr int kUnits = 16;

// Units [first, last) of one step. Every other step goes through them backwards: what the step before read last is
// still in the core's second-level cache, which cannot hold all of it.
void run_units(const CodecKernels& codec, const LstmLayer& layer, const float* gates, const float* hidden,
               float* cell, float* next, int width, int first, int last, bool backwards) {
  const int count = (last - first + kUnits - 1) / kUnits;
  for (int i = 0; i < count; ++i) {
    const int start = first + (backwards ? count - 1 - i : i) * kUnits;
    codec.lstm_units(gates, layer.hidden_weight.data(), hidden, cell, next, width, start,
                     std::min(last, start + kUnits));
  }
}

// One layer: outputs [length, width] of inputs [length, width].
void run_layer(ThreadPool& pool, const LstmLayer& layer, int width, int length, const float* inputs,
               float* outputs, LstmState& state) {
  const Kernels& kernels = pool.kernels();
  const CodecKernels& codec = codec_kernels(kernels.isa);
  Buffer storage;
  float* gates = storage.ensure(4LL * kBlock * width);
  state.hidden.resize(static_cast<std::size_t>(width), 0.0f);
  state.cell.resize(static_cast<std::size_t>(width), 0.0f);
  float* cell = state.cell.data();
  const float* hidden = state.hidden.data();
  const int pieces = 4LL * width * width >= kWorthSharing ? pool.size() : 1;
  std::vector<std::atomic<bool>> taken(static_cast<std::size_t>(pieces));
  for (int block = 0; block < length; block += kBlock) {
    const int count = std::min(kBlock, length - block);
    parallel_ranges(pool, count, 12, [&](int64_t first, int64_t last) {
      layer.input.apply(kernels, inputs + (block + first) * width, width,
                        static_cast<int>(last - first), gates + first * 4 * width, 4 * width);
    });
    for (int t = 0; t < count; ++t) {
      float* next = outputs + static_cast<int64_t>(block + t) * width;
      for (std::atomic<bool>& piece : taken) piece.store(false, std::memory_order_relaxed);
      pool.parallel(pieces, [&](int, int worker) {
        // A thread takes the piece that it took before, unless another did as this one had lost its core.
        int piece = worker % pieces;
        while (taken[static_cast<std::size_t>(piece)].exchange(true)) piece = (piece + 1) % pieces;
        run_units(codec, layer, gates + 4LL * t * width, hidden, cell, next, width, width * piece / pieces,
                  width * (piece + 1) / pieces, t % 2 != 0);
      });
      hidden = next;
    }
  }
  if (length > 0) std::copy_n(hidden, width, state.hidden.data());
}

}  // namespace

void run_lstm(ThreadPool& pool, const ResidualLstm& lstm, int length, float* x,
              std::vector<LstmState>& states) {
  states.resize(lstm.layers.size());
  const int64_t count = static_cast<int64_t>(length) * lstm.width;
  Buffer first, second;
  const float* inputs = x;
  float* outputs = first.ensure(count);
  float* spare = second.ensure(count);
  for (std::size_t i = 0; i < lstm.layers.size(); ++i) {
    run_layer(pool, lstm.layers[i], lstm.width, length, inputs, outputs, states[i]);
    inputs = outputs;
    std::swap(outputs, spare);
  }
  for (int64_t i = 0; i < count; ++i) x[i] += inputs[i];
}

}  // namespace ob

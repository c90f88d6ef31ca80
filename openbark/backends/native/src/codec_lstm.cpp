#include "codec_lstm.h"

#include <cstring>

#include "codec_kernels.h"
#include "gemm.h"

namespace ob {
namespace {

// Steps whose input products are computed at once: enough rows for the matrix kernel, while the
// memory stays bounded however long the sequence is.
constexpr int kBlock = 128;
// Multiply-adds below which a step costs less than waking another thread.
constexpr int64_t kWorthSharing = 1 << 17;

// One layer: outputs [length, width] of inputs [length, width].
void run_layer(ThreadPool& pool, const LstmLayer& layer, int width, int length, const float* inputs,
               float* outputs) {
  const CodecKernels& kernels = codec_kernels(pool.kernels().isa);
  Buffer products;
  std::vector<float> cell(static_cast<std::size_t>(width), 0.0f), start(cell);
  const float* hidden = start.data();
  const bool share = 4LL * width * width >= kWorthSharing;
  const int pieces = share ? pool.size() : 1;
  for (int block = 0; block < length; block += kBlock) {
    const int count = std::min(kBlock, length - block);
    float* gates = products.ensure(4LL * kBlock * width);
    gemm_f32(pool, count, 4 * width, width, inputs + static_cast<int64_t>(block) * width, width,
             layer.input_weight, width, layer.bias, gates, 4 * width);
    for (int t = 0; t < count; ++t) {
      float* next = outputs + static_cast<int64_t>(block + t) * width;
      pool.parallel(pieces, [&](int piece, int) {
        kernels.lstm_units(gates + 4LL * t * width, layer.hidden_weight, hidden, cell.data(), next,
                           width, width * piece / pieces, width * (piece + 1) / pieces);
      });
      hidden = next;
    }
  }
}

}  // namespace

void run_lstm(ThreadPool& pool, const ResidualLstm& lstm, int length, float* x) {
  const int64_t count = static_cast<int64_t>(length) * lstm.width;
  Buffer first, second;
  const float* inputs = x;
  float* outputs = first.ensure(count);
  float* spare = second.ensure(count);
  for (const LstmLayer& layer : lstm.layers) {
    run_layer(pool, layer, lstm.width, length, inputs, outputs);
    inputs = outputs;
    std::swap(outputs, spare);
  }
  for (int64_t i = 0; i < count; ++i) x[i] += inputs[i];
}

}  // namespace ob

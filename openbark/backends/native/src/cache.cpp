#include "cache.h"

#include <cstring>

namespace ob {

namespace {

int padded(int n, int to) { return (n + to - 1) / to * to; }

std::uint16_t to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

Cache::Cache(const Model& model, int capacity, int layers)
    : n_layer_(layers),
      n_head_(model.shape().n_head),
      head_dim_(model.head_dim()),
      padded_dim_(padded(head_dim_, kKeyBlock)),
      capacity_(padded(capacity, kKeyBlock)),
      bfloat16_(model.shape().precision != static_cast<int>(Precision::kFloat32) && head_dim_ % 2 == 0) {
  const std::size_t width = bfloat16_ ? 2 : 4;
  keys_bytes_ = width * static_cast<std::size_t>(capacity_) * static_cast<std::size_t>(head_dim_);
  values_bytes_ = width * static_cast<std::size_t>(capacity_) * static_cast<std::size_t>(padded_dim_);
  const auto heads = static_cast<std::size_t>(n_layer_) * static_cast<std::size_t>(n_head_);
  memory_ = Memory(heads * (keys_bytes_ + values_bytes_));
}

// Apart from the padding, a distance that is no multiple of 4 KiB keeps the rows in different lines.
int Cache::scores_stride(int capacity) { return padded(capacity, 4 * kKeyBlock) + kKeyBlock; }

std::uint8_t* Cache::keys(int layer, int head) const {
  const auto index = static_cast<std::size_t>(layer % n_layer_) * static_cast<std::size_t>(n_head_) +
                     static_cast<std::size_t>(head);
  return memory_.as<std::uint8_t>() + index * (keys_bytes_ + values_bytes_);
}

std::uint8_t* Cache::values(int layer, int head) const { return keys(layer, head) + keys_bytes_; }

void Cache::append(int layer, int head, int position, const float* key, const float* value) {
  const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(position / kKeyBlock) * kKeyBlock * head_dim_;
  const int lane = position % kKeyBlock;
  if (!bfloat16_) {
    float* to = reinterpret_cast<float*>(keys(layer, head)) + block + lane;
    for (int d = 0; d < head_dim_; ++d) to[d * kKeyBlock] = key[d];
    float* row = reinterpret_cast<float*>(values(layer, head)) +
                 static_cast<std::ptrdiff_t>(position) * padded_dim_;
    std::memcpy(row, value, sizeof(float) * static_cast<std::size_t>(head_dim_));
    return;
  }
  // Rounded side by side first, which the compiler does many at a time, then put where they belong.
  std::uint16_t halves[kMaxHeadDim];
  for (int d = 0; d < head_dim_; ++d) halves[d] = to_bfloat16(key[d]);
  std::uint16_t* to = reinterpret_cast<std::uint16_t*>(keys(layer, head)) + block + lane * 2;
  for (int d = 0; d < head_dim_; d += 2) std::memcpy(to + d * kKeyBlock, halves + d, 4);
  for (int d = 0; d < head_dim_; ++d) halves[d] = to_bfloat16(value[d]);
  std::uint16_t* row = reinterpret_cast<std::uint16_t*>(values(layer, head)) +
                       static_cast<std::ptrdiff_t>(position / 2) * padded_dim_ * 2 + position % 2;
  for (int d = 0; d < head_dim_; ++d) row[d * 2] = halves[d];
}

void Cache::expect(int layer, int head, int position) const {
  constexpr int kLine = 64;
  const int width = bfloat16_ ? 2 : 4;
  const int block_bytes = kKeyBlock * head_dim_ * width;
  const std::uint8_t* block = keys(layer, head) + static_cast<std::ptrdiff_t>(position / kKeyBlock) * block_bytes;
  const int lane = position % kKeyBlock * 4;
  for (int at = lane; at < block_bytes; at += kLine) __builtin_prefetch(block + at, 1);
  const int row_bytes = padded_dim_ * 4;  // of two bfloat16 positions, or of one
  const std::ptrdiff_t index = bfloat16_ ? position / 2 : position;
  const std::uint8_t* row = values(layer, head) + index * row_bytes;
  for (int at = 0; at < row_bytes; at += kLine) __builtin_prefetch(row + at, 1);
}

void Cache::attend(const Kernels& kernels, int layer, int head, int rows, int visible, int visible_step,
                   const float* q, std::ptrdiff_t ldq, float* scores, float* out,
                   std::ptrdiff_t ldo) const {
  const Attention job{q,      ldq,    rows, visible, visible_step, head_dim_, keys(layer, head),
                      values(layer, head), scores, scores_stride(capacity_), out, ldo};
  (bfloat16_ ? kernels.attend_bf16 : kernels.attend_f32)(job);
}

}  // namespace ob

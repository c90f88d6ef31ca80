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

// Asks for the lines of `bytes` from `start` that hold every 64th byte of it.
void expect_lines(const std::uint8_t* start, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(start + at, 1);
}

}  // namespace

Cache::Kind Cache::kind_of(const Shape& shape) {
  switch (static_cast<Precision>(shape.precision)) {
    case Precision::kInt8:
    case Precision::kInt4:
      return Kind::kBytes;
    case Precision::kBfloat16:
      return shape.n_embd / shape.n_head % 2 == 0 ? Kind::kBfloat16 : Kind::kFloat32;
    default:
      return Kind::kFloat32;
  }
}

Cache::Cache(const Shape& shape, int capacity, int layers)
    : n_layer_(layers),
      n_head_(shape.n_head),
      head_dim_(shape.n_embd / shape.n_head),
      capacity_(padded(capacity, kKeyBlock)),
      kind_(kind_of(shape)) {
  const std::size_t width = kind_ == Kind::kBfloat16 ? 2 : 4;
  key_block_ = width * static_cast<std::size_t>(kKeyBlock * head_dim_);
  value_block_ = width * static_cast<std::size_t>(kKeyBlock * padded_head_dim(head_dim_));
  if (kind_ == Kind::kBytes) {
    key_block_ = static_cast<std::size_t>(key_block_bytes(head_dim_));
    value_block_ = static_cast<std::size_t>(value_block_bytes(head_dim_));
  }
  const auto blocks = static_cast<std::size_t>(capacity_ / kKeyBlock);
  keys_bytes_ = blocks * key_block_;
  values_bytes_ = blocks * value_block_;
  const auto heads = static_cast<std::size_t>(n_layer_) * static_cast<std::size_t>(n_head_);
  memory_ = Memory(heads * (keys_bytes_ + values_bytes_));
}

// Apart from the padding, a distance that is not a multiple of 4 KiB keeps the rows in different lines.
int Cache::scores_stride(int capacity) { return padded(capacity, 4 * kKeyBlock) + kKeyBlock; }

std::uint8_t* Cache::keys(int layer, int head) const {
  const auto index = static_cast<std::size_t>(layer % n_layer_) * static_cast<std::size_t>(n_head_) +
                     static_cast<std::size_t>(head);
  return memory_.as<std::uint8_t>() + index * (keys_bytes_ + values_bytes_);
}

std::uint8_t* Cache::values(int layer, int head) const { return keys(layer, head) + keys_bytes_; }

void Cache::append_floats(int layer, int head, int position, const float* key, const float* value) {
  const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(position / kKeyBlock) * kKeyBlock * head_dim_;
  float* to = reinterpret_cast<float*>(keys(layer, head)) + block + position % kKeyBlock;
  for (int d = 0; d < head_dim_; ++d) to[d * kKeyBlock] = key[d];
  float* row = reinterpret_cast<float*>(values(layer, head)) +
               static_cast<std::ptrdiff_t>(position) * padded_head_dim(head_dim_);
  std::memcpy(row, value, sizeof(float) * static_cast<std::size_t>(head_dim_));
}

void Cache::append_halves(int layer, int head, int position, const float* key, const float* value) {
  const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(position / kKeyBlock) * kKeyBlock * head_dim_;
  // Rounded side by side first, which the compiler does many at a time, then put where they belong.
  std::uint16_t halves[kMaxHeadDim];
  for (int d = 0; d < head_dim_; ++d) halves[d] = to_bfloat16(key[d]);
  std::uint16_t* to = reinterpret_cast<std::uint16_t*>(keys(layer, head)) + block + position % kKeyBlock * 2;
  for (int d = 0; d < head_dim_; d += 2) std::memcpy(to + d * kKeyBlock, halves + d, 4);
  for (int d = 0; d < head_dim_; ++d) halves[d] = to_bfloat16(value[d]);
  std::uint16_t* row = reinterpret_cast<std::uint16_t*>(values(layer, head)) +
                       static_cast<std::ptrdiff_t>(position / 2) * padded_head_dim(head_dim_) * 2 + position % 2;
  for (int d = 0; d < head_dim_; ++d) row[d * 2] = halves[d];
}

void Cache::append(const Kernels& kernels, int layer, int head, int position, const float* key,
                   const float* value) {
  if (kind_ == Kind::kFloat32) return append_floats(layer, head, position, key, value);
  if (kind_ == Kind::kBfloat16) return append_halves(layer, head, position, key, value);
  const auto block = static_cast<std::size_t>(position / kKeyBlock);
  kernels.append_bytes(key, value, head_dim_, position % kKeyBlock, keys(layer, head) + block * key_block_,
                       values(layer, head) + block * value_block_);
}

void Cache::expect(int layer, int head, int position) const {
  const auto block = static_cast<std::size_t>(position / kKeyBlock);
  const auto lane = static_cast<std::size_t>(position % kKeyBlock);
  const std::uint8_t* key = keys(layer, head) + block * key_block_;
  expect_lines(key + lane * 4, key_block_ - lane * 4);
  // Positions that share the lines of a row of values.
  const std::size_t together = kind_ == Kind::kBytes ? 4 : kind_ == Kind::kBfloat16 ? 2 : 1;
  const std::size_t row = value_block_ / kKeyBlock * together;
  expect_lines(values(layer, head) + block * value_block_ + lane / together * row, row);
}

void Cache::attend(const Kernels& kernels, int layer, int head, const Queries& queries) const {
  const Attention job{queries.q,      queries.ldq,
                      queries.rows,   queries.visible,
                      queries.visible_step, head_dim_,
                      keys(layer, head), values(layer, head),
                      queries.scores, scores_stride(capacity_),
                      queries.out,    queries.ldo,
                      queries.next};
  if (kind_ == Kind::kBytes) return kernels.attend_bytes(job);
  (kind_ == Kind::kBfloat16 ? kernels.attend_bf16 : kernels.attend_f32)(job);
}

}  // namespace ob

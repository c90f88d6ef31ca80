// Keys and values of every layer, stored as the attention kernels read them.
#pragma once

#include <cstdint>

#include "memory.h"
#include "model.h"

namespace ob {

class Cache {
 public:
  // Room for `capacity` positions; bfloat16 unless the weights are float32 or head_dim is odd. With fewer
  // layers than the model's they share: enough where a layer is done with before the next one starts.
  Cache(const Model& model, int capacity, int layers);

  int capacity() const { return capacity_; }

  // Stores one head's key and value of `position`.
  void append(int layer, int head, int position, const float* key, const float* value);

  // Asks for the memory that `append` will write: its lines are far apart, and rarely at hand.
  void expect(int layer, int head, int position) const;

  // Attention of one head: out[r] for query rows q[r] that see keys up to visible + r * visible_step.
  void attend(const Kernels& kernels, int layer, int head, int rows, int visible, int visible_step,
              const float* q, std::ptrdiff_t ldq, float* scores, float* out, std::ptrdiff_t ldo) const;

  // Floats of scratch that `attend` needs for a cache of `capacity` positions.
  static std::size_t scores_size(int capacity) { return static_cast<std::size_t>(scores_stride(capacity)) * 8; }

 private:
  static int scores_stride(int capacity);
  std::uint8_t* keys(int layer, int head) const;
  std::uint8_t* values(int layer, int head) const;

  int n_layer_, n_head_, head_dim_, padded_dim_, capacity_;
  bool bfloat16_;
  std::size_t keys_bytes_, values_bytes_;  // of one head
  Memory memory_;
};

}  // namespace ob

// Keys and values of every layer, stored as the attention kernels read them.
#pragma once

#include <cstdint>

#include "memory.h"
#include "model.h"

namespace ob {

// Query rows of one head, `ldq` floats apart, and where their mixed values go. Row r sees the first
// visible + r * visible_step positions.
struct Queries {
  const float* q;
  std::ptrdiff_t ldq;
  int rows, visible, visible_step;
  float* scores;  // Cache::scores_size(capacity) floats of scratch
  float* out;
  std::ptrdiff_t ldo;
  const void* next;  // what the thread reads after this, or null
};

class Cache {
 public:
  // Room for `capacity` positions: 8 bits with integer weights, bfloat16 with bfloat16 weights unless head_dim is
  // odd, else float32. With fewer layers than the shape's they share: enough where a layer is done with before the
  // next one starts.
  Cache(const Shape& shape, int capacity, int layers);

  int capacity() const { return capacity_; }

  // Stores one head's key and value of `position`. Threads that append at the same time write to other heads, or
  // to other blocks of kKeyBlock positions.
  void append(const Kernels& kernels, int layer, int head, int position, const float* key, const float* value);

  // Asks for the memory that `append` will write: its lines are far apart, and rarely at hand.
  void expect(int layer, int head, int position) const;

  void attend(const Kernels& kernels, int layer, int head, const Queries& queries) const;

  // Where `attend` starts to read.
  const void* start(int layer, int head) const { return keys(layer, head); }

  // Floats of scratch that `attend` needs for a cache of `capacity` positions.
  static std::size_t scores_size(int capacity) {
    return static_cast<std::size_t>(scores_stride(capacity)) * (kScoreRows + 3);
  }

 private:
  enum class Kind { kFloat32, kBfloat16, kBytes };

  static Kind kind_of(const Shape& shape);
  static int scores_stride(int capacity);
  std::uint8_t* keys(int layer, int head) const;
  std::uint8_t* values(int layer, int head) const;
  void append_floats(int layer, int head, int position, const float* key, const float* value);
  void append_halves(int layer, int head, int position, const float* key, const float* value);

  int n_layer_, n_head_, head_dim_, capacity_;
  Kind kind_;
  std::size_t key_block_, value_block_;    // bytes of kKeyBlock positions of one head
  std::size_t keys_bytes_, values_bytes_;  // of one head
  Memory memory_;
};

}  // namespace ob

// One transformer's weights: where each tensor lies in one block of packed memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "interface.h"
#include "matrix.h"

namespace ob {

using Shape = ::ob_shape;

struct Norm {
  float* weight = nullptr;
  float* bias = nullptr;
};

struct Layer {
  Norm norm_1, norm_2;
  Matrix att_proj, attn_out, mlp_in, mlp_out;
};

struct HeadPart {
  int first = 0;  // output row of the part's row 0
  Matrix matrix;
};

class Model {
 public:
  // `packed` holds packed_bytes(shape) bytes, aligned to 64, filled by `put` or read from a file.
  Model(const Shape& shape, const Kernels& kernels, std::uint8_t* packed);

  static std::size_t packed_bytes(const Shape& shape, const Kernels& kernels);

  // Packs a tensor of the checkpoint, by its key name. False for a name this shape does not have.
  bool put(ThreadPool& pool, const std::string& name, const float* data);
  // Embedding tables stay where they are: the caller keeps them alive.
  void set_table(int index, const float* rows) { tables_[static_cast<std::size_t>(index)] = rows; }

  const Shape& shape() const { return shape_; }
  int head_dim() const { return shape_.n_embd / shape_.n_head; }
  const std::vector<Layer>& layers() const { return layers_; }
  const Norm& final_norm() const { return final_norm_; }
  // Parts of the causal head; or the fine head of codebook n_codes_given + i.
  const std::vector<HeadPart>& head() const { return head_; }
  const float* table(int index) const { return tables_[static_cast<std::size_t>(index)]; }
  const float* position(int index) const {
    return positions_ + static_cast<std::ptrdiff_t>(index) * shape_.n_embd;
  }
  // Bytes of packed weights that one decode step reads for the blocks.
  std::size_t block_bytes() const { return block_bytes_; }
  std::size_t size() const { return used_; }

 private:
  struct Vector {
    float* to;
    std::size_t n;
  };

  std::uint8_t* take(std::size_t bytes);
  float* vector(const std::string& name, std::size_t n);
  Matrix matrix(Precision precision, int n, int k);
  Matrix linear_map(const std::string& name, int n, int k);
  Norm norm(const std::string& name);
  void lay_out_head();

  Shape shape_;
  const Kernels& kernels_;
  std::uint8_t* packed_;
  std::size_t used_ = 0;
  std::size_t block_bytes_ = 0;
  std::vector<Layer> layers_;
  Norm final_norm_;
  std::vector<HeadPart> head_;
  float* positions_ = nullptr;
  std::vector<const float*> tables_;
  std::map<std::string, Vector> vectors_;
  std::map<std::string, Matrix> matrices_;
};

}  // namespace ob

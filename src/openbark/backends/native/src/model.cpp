#include "model.h"

#include <cstring>
#include <stdexcept>

namespace ob {

Model::Model(const Shape& shape, const Kernels& kernels, std::uint8_t* packed)
    : shape_(shape), kernels_(kernels), packed_(packed) {
  const int width = shape.n_embd;
  if (shape.n_head < 1 || width % shape.n_head != 0 || head_dim() > kMaxHeadDim) {
    throw std::invalid_argument("heads of " + std::to_string(width) + " / " + std::to_string(shape.n_head) +
                                " values; allowed: whole numbers up to " + std::to_string(kMaxHeadDim));
  }
  layers_.resize(static_cast<std::size_t>(shape.n_layer));
  for (int i = 0; i < shape.n_layer; ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    Layer& layer = layers_[static_cast<std::size_t>(i)];
    // In the order in which a step reads them.
    layer.norm_1 = norm(prefix + "layernorm_1");
    layer.att_proj = linear_map(prefix + "attn.att_proj", 3 * width, width);
    layer.attn_out = linear_map(prefix + "attn.out_proj", width, width);
    layer.norm_2 = norm(prefix + "layernorm_2");
    layer.mlp_in = linear_map(prefix + "mlp.in_proj", 4 * width, width);
    layer.mlp_out = linear_map(prefix + "mlp.out_proj", width, 4 * width);
  }
  final_norm_ = norm("layernorm_final");
  block_bytes_ = used_;
  lay_out_head();
  const auto positions = static_cast<std::size_t>(shape.block_size) * static_cast<std::size_t>(width);
  positions_ = vector("position_embeds_layer.weight", positions);
  tables_.resize(static_cast<std::size_t>(shape.n_tables));
}

std::size_t Model::packed_bytes(const Shape& shape, const Kernels& kernels) {
  return Model(shape, kernels, nullptr).size();
}

void Model::lay_out_head() {
  const auto precision = static_cast<Precision>(shape_.head_precision);
  if (shape_.causal != 0) {
    for (int i = 0; i < shape_.n_heads_cut; ++i) {
      const int first = shape_.head_starts[i];
      const int last = i + 1 < shape_.n_heads_cut ? shape_.head_starts[i + 1] : shape_.n_out;
      head_.push_back({first, matrix(precision, last - first, shape_.n_embd)});
    }
    return;
  }
  for (int i = 0; i < shape_.n_tables - shape_.n_codes_given; ++i) {
    head_.push_back({0, matrix(precision, shape_.n_out, shape_.n_embd)});
    matrices_["input_embeds_layers." + std::to_string(i + 1) + ".weight"] = head_.back().matrix;
  }
}

bool Model::put(ThreadPool& pool, const std::string& name, const float* data) {
  const auto vector = vectors_.find(name);
  if (vector != vectors_.end()) {
    std::memcpy(vector->second.to, data, vector->second.n * sizeof(float));
    return true;
  }
  if (name == "lm_head.weight" && shape_.causal != 0) {
    for (const HeadPart& part : head_) {
      pack(pool, part.matrix, data + static_cast<std::ptrdiff_t>(part.first) * shape_.n_embd);
    }
    return true;
  }
  const auto matrix = matrices_.find(name);
  if (matrix == matrices_.end()) return false;
  pack(pool, matrix->second, data);
  return true;
}

std::uint8_t* Model::take(std::size_t bytes) {
  // Without memory the addresses are never used, only their sum.
  std::uint8_t* at = packed_ == nullptr ? nullptr : packed_ + used_;
  used_ += (bytes + 63) / 64 * 64;
  return at;
}

float* Model::vector(const std::string& name, std::size_t n) {
  auto* to = reinterpret_cast<float*>(take(n * sizeof(float)));
  vectors_[name] = {to, n};
  return to;
}

Matrix Model::matrix(Precision precision, int n, int k) {
  const MatrixBytes bytes = matrix_bytes(kernels_, precision, n, k);
  Matrix made;
  made.precision = precision;
  made.n = n;
  made.k = k;
  made.weights = take(bytes.weights);
  made.scales = reinterpret_cast<float*>(take(bytes.scales));
  made.sums = reinterpret_cast<std::int32_t*>(take(bytes.sums));
  return made;
}

Matrix Model::linear_map(const std::string& name, int n, int k) {
  Matrix made = matrix(static_cast<Precision>(shape_.precision), n, k);
  if (shape_.bias != 0) made.bias = vector(name + ".bias", static_cast<std::size_t>(n));
  matrices_[name + ".weight"] = made;
  return made;
}

Norm Model::norm(const std::string& name) {
  Norm made;
  const auto width = static_cast<std::size_t>(shape_.n_embd);
  made.weight = vector(name + ".weight", width);
  if (shape_.norm_bias != 0) made.bias = vector(name + ".bias", width);
  return made;
}

}  // namespace ob

// The flat description a network is built from: sizes and arrays in an agreed order.
//
// The other side is openbark/backends/native/codec_layout.py; the order of both is the order of the
// calls here. Every array's length is checked, so that a disagreement is an error and not a crash.
#pragma once

#include <stdexcept>
#include <string>

#include "codec_conv.h"

namespace ob {

class Description {
 public:
  Description(ThreadPool& pool, const int32_t* sizes, int n_sizes, const float* const* arrays,
              const int64_t* lengths, int n_arrays)
      : pool_(pool), sizes_(sizes), arrays_(arrays), lengths_(lengths), n_sizes_(n_sizes),
        n_arrays_(n_arrays) {}

  int size() {
    if (size_ == n_sizes_) throw std::invalid_argument("codec: too few sizes");
    return sizes_[size_++];
  }

  // Borrowed: alive as long as the caller keeps it.
  const float* array(int64_t length) {
    if (array_ == n_arrays_) throw std::invalid_argument("codec: too few arrays");
    if (lengths_[array_] != length) {
      throw std::invalid_argument("codec: array " + std::to_string(array_) + " has " +
                                  std::to_string(lengths_[array_]) + " values, expected " +
                                  std::to_string(length));
    }
    return arrays_[array_++];
  }

  std::vector<float> copy(int64_t length) {
    const float* values = array(length);
    return std::vector<float>(values, values + length);
  }

  // Weight, then bias.
  Linear linear(int outputs, int inputs) {
    const float* weight = array(static_cast<int64_t>(outputs) * inputs);
    return Linear(pool_, outputs, inputs, weight, array(outputs));
  }

  // After the last call: nothing may be left over.
  void finish() const {
    if (size_ != n_sizes_ || array_ != n_arrays_) {
      throw std::invalid_argument("codec: more sizes or arrays than the network takes");
    }
  }

 private:
  ThreadPool& pool_;
  const int32_t* sizes_;
  const float* const* arrays_;
  const int64_t* lengths_;
  int n_sizes_, n_arrays_, size_ = 0, array_ = 0;
};

}  // namespace ob

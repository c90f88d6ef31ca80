// The C interface of pools, transformers and their sessions: documented in include/openbark.h.
#include <memory>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "causal.h"
#include "checksum.h"
#include "fine.h"
#include "guard.h"

namespace ob {

namespace {

thread_local std::string last_error;

}  // namespace

void keep_error(const char* message) noexcept {
  try {
    last_error = message;
  } catch (const std::bad_alloc&) {
    last_error.clear();
  }
}

}  // namespace ob

using ob::guarded;

#ifndef OB_VERSION
#error "OB_VERSION: the first 16 hexadecimal digits of the SHA-256 of include/openbark.h, as 0x...ULL"
#endif
OB_API uint64_t ob_version() { return OB_VERSION; }

OB_API const char* ob_error() { return ob::last_error.c_str(); }

OB_API int ob_isa_available(int isa) { return ob::isa_available(static_cast<ob::Isa>(isa)) ? 1 : 0; }

OB_API int ob_best_isa() { return static_cast<int>(ob::best_isa()); }

OB_API int ob_usable_cores() { return ob::usable_cores(); }

OB_API uint64_t ob_checksum(const void* bytes, size_t n) { return ob::checksum(bytes, n); }

OB_API int ob_pool_create(int threads, int isa, ob::ThreadPool** out) {
  return guarded([&] {
    const auto wanted = static_cast<ob::Isa>(isa);
    if (!ob::isa_available(wanted)) throw std::invalid_argument("this processor lacks the kernel variant");
    *out = new ob::ThreadPool(threads, ob::kernels_of(wanted));
  });
}

OB_API void ob_pool_destroy(ob::ThreadPool* pool) { delete pool; }

OB_API int ob_pool_size(const ob::ThreadPool* pool) { return pool->size(); }

OB_API const char* ob_pool_kernels(const ob::ThreadPool* pool) { return pool->kernels().name; }

OB_API int ob_pool_precisions(const ob::ThreadPool* pool) {
  const ob::Kernels& kernels = pool->kernels();
  return 1 | (kernels.bf16 != nullptr ? 2 : 0) | (kernels.int8 != nullptr ? 4 : 0) |
         (kernels.int4 != nullptr ? 8 : 0);
}

OB_API int ob_memory_create(std::size_t bytes, ob::Memory** out, void** start) {
  return guarded([&] {
    *out = new ob::Memory(bytes);
    *start = (*out)->as<void>();
  });
}

OB_API void ob_memory_destroy(ob::Memory* memory) { delete memory; }

OB_API void ob_memory_trim() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

namespace ob {

// A packed matrix with its own memory, for tests and for measuring what the machine can do.
struct OwnedMatrix {
  Memory memory;
  Matrix matrix;
};

}  // namespace ob

OB_API int ob_matrix_create(ob::ThreadPool* pool, int precision, int n, int k, const float* rows,
                            ob::OwnedMatrix** out) {
  return guarded([&] {
    const auto kind = static_cast<ob::Precision>(precision);
    const ob::MatrixBytes bytes = ob::matrix_bytes(pool->kernels(), kind, n, k);
    auto made = std::make_unique<ob::OwnedMatrix>();
    made->memory = ob::Memory(bytes.weights + bytes.scales + bytes.sums);
    auto* start = made->memory.as<std::uint8_t>();
    made->matrix = {kind, n, k, start, reinterpret_cast<float*>(start + bytes.weights),
                    reinterpret_cast<std::int32_t*>(start + bytes.weights + bytes.scales), nullptr};
    ob::pack(*pool, made->matrix, rows);
    *out = made.release();
  });
}

OB_API void ob_matrix_destroy(ob::OwnedMatrix* matrix) { delete matrix; }

OB_API int ob_matrix_product(const ob::OwnedMatrix* matrix, ob::ThreadPool* pool, int m, const float* x,
                             const float* bias, int epilogue, float* y, int times) {
  return guarded([&] {
    ob::Matrix used = matrix->matrix;
    used.bias = bias;
    ob::Inputs inputs(m, used.k);
    for (int i = 0; i < times; ++i) {
      ob::linear(*pool, used, m, used.n, x, used.k, static_cast<ob::Epilogue>(epilogue), y, used.n, inputs);
    }
  });
}

OB_API int ob_attention(ob::ThreadPool* pool, int precision, int head_dim, int n, const float* keys,
                        const float* values, int rows, int visible, int visible_step, const float* q, float* out) {
  return guarded([&] {
    if (head_dim < 1 || head_dim > ob::kMaxHeadDim || visible + (rows - 1) * visible_step > n) {
      throw std::invalid_argument("a row sees more positions than there are, or head_dim is above " +
                                  std::to_string(ob::kMaxHeadDim));
    }
    ob::Shape shape{};
    shape.n_head = 1;
    shape.n_embd = head_dim;
    shape.precision = precision;
    ob::Cache cache(shape, n, 1);
    const ob::Memory scores(ob::Cache::scores_size(cache.capacity()) * sizeof(float));
    for (int i = 0; i < n; ++i) {
      cache.append(pool->kernels(), 0, 0, i, keys + static_cast<std::ptrdiff_t>(i) * head_dim,
                   values + static_cast<std::ptrdiff_t>(i) * head_dim);
    }
    cache.attend(pool->kernels(), 0, 0,
                 {q, head_dim, rows, visible, visible_step, scores.as<float>(), out, head_dim, nullptr});
  });
}

OB_API int ob_model_bytes(const ob::ThreadPool* pool, const ob::Shape* shape, std::size_t* out) {
  return guarded([&] { *out = ob::Model::packed_bytes(*shape, pool->kernels()); });
}

OB_API int ob_model_create(const ob::ThreadPool* pool, const ob::Shape* shape, void* packed,
                           ob::Model** out) {
  return guarded(
      [&] { *out = new ob::Model(*shape, pool->kernels(), static_cast<std::uint8_t*>(packed)); });
}

OB_API void ob_model_destroy(ob::Model* model) { delete model; }

OB_API int ob_model_put(ob::Model* model, ob::ThreadPool* pool, const char* name, const float* data) {
  return guarded([&] {
    if (!model->put(*pool, name, data)) throw std::invalid_argument(std::string("no tensor ") + name);
  });
}

OB_API void ob_model_table(ob::Model* model, int index, const float* rows) { model->set_table(index, rows); }

OB_API int ob_stage_create(ob::ThreadPool* pool, const ob::Model* model, ob::CausalStage** out) {
  return guarded([&] { *out = new ob::CausalStage(*pool, *model); });
}

OB_API void ob_stage_destroy(ob::CausalStage* stage) { delete stage; }

OB_API int ob_stage_draw(ob::CausalStage* stage, ob::Run* runs, int n) {
  return guarded([&] { stage->draw(runs, n); });
}

OB_API int ob_causal_create(ob::CausalStage* stage, ob::CausalSession** out) {
  return guarded([&] { *out = new ob::CausalSession(*stage); });
}

OB_API void ob_causal_destroy(ob::CausalSession* session) { delete session; }

OB_API int ob_causal_prefill(ob::CausalSession* session, const std::int64_t* ids, int n,
                             const std::int64_t* summed, int n_summed) {
  return guarded([&] { session->prefill(ids, n, summed, n_summed); });
}

OB_API int ob_causal_reused(const ob::CausalSession* session) { return session->n_reused(); }

OB_API int ob_causal_step(ob::CausalSession* session, std::int64_t id) {
  return guarded([&] { session->step(id); });
}

OB_API int ob_causal_logits(ob::CausalSession* session, float* out) {
  return guarded([&] { session->logits(out); });
}

OB_API int ob_fine_create(ob::ThreadPool* pool, const ob::Model* model, ob::FineSession** out) {
  return guarded([&] { *out = new ob::FineSession(*pool, *model); });
}

OB_API void ob_fine_destroy(ob::FineSession* session) { delete session; }

OB_API int ob_fine_logits(ob::FineSession* session, const std::int64_t* codes, int n, int k, int first,
                          float* out) {
  return guarded([&] { session->logits(codes, n, k, first, out); });
}

OB_API int ob_fine_draw(ob::FineSession* session, const std::int64_t* codes, int n, int k, int first,
                        const ob::Sampling* sampling, std::uint64_t seed, int stage, int first_row,
                        int n_tokens, std::int64_t* out) {
  return guarded(
      [&] { session->draw(codes, n, k, first, *sampling, seed, stage, first_row, n_tokens, out); });
}

OB_API double ob_uniform(std::uint64_t seed, int stage, int step, int row) {
  return ob::uniform(seed, stage, step, row);
}

OB_API int ob_draw_row(const ob::ThreadPool* pool, const float* logits, int n, const ob::Sampling* sampling,
                       double number, int slowly, int* token, int* walked, int* reaches, double* last_probability) {
  return guarded([&] {
    ob::Sampler sampler(pool->kernels().isa);
    *token = slowly ? sampler.draw_slowly(logits, n, *sampling, number) : sampler.draw(logits, n, *sampling, number);
    *walked = sampler.walked();
    *reaches = sampler.reaches(n - 1, sampling->min_eos_p);
    *last_probability = sampler.probability(n - 1);
  });
}

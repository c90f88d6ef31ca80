/*
 * openbark.h: the C interface of OpenBark's CPU engine.
 *
 * The library computes Bark's networks and draws their tokens. It knows no text, no files and no voices: those are the
 * Python package, which calls these functions through ctypes (capi.py has the same signatures as a table, and a test
 * compares the two). Every function may be called without Python's lock.
 *
 * Order of calls
 *     ob_pool_create                 threads, and the kernels of one instruction set
 *     ob_model_bytes, ob_memory_create, ob_model_create, ob_model_put ..., ob_model_table ...    one transformer
 *     ob_stage_create, ob_causal_create, ob_causal_prefill, ob_stage_draw ...   semantic and coarse stage
 *     ob_fine_create, ob_fine_draw ...                                          fine stage
 *     ob_codec_create, ob_codec_decode                                          codec
 *     ob_..._destroy                 in the opposite order
 *
 * Errors. Functions that can fail return an ob_status; ob_error tells what was wrong. Others cannot fail if their
 * arguments are valid. Results are written only after OB_OK.
 *
 * Ownership. A handle belongs to the caller, who destroys it once; destroying NULL does nothing. A handle must outlive
 * what was made from it. Arrays belong to the caller and are read or written during the call, unless a comment says
 * that the library keeps using them.
 *
 * Threads. A session, a stream and a fine window serve one thread at a time. A pool, a model, a stage and a codec may be
 * used by several threads at once.
 *
 * Forks. In the child of a fork all handles stay valid, and a pool starts its threads anew when it is first used there.
 * Sessions that another thread was using at that moment may only be destroyed.
 *
 * Shapes are in the order of the elements in memory, last index fastest. Tokens and codes are checked here; pointers,
 * lengths and handles are not.
 */
#ifndef OPENBARK_H
#define OPENBARK_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define OB_VISIBLE __declspec(dllexport)
#else
#define OB_VISIBLE __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define OB_API extern "C" OB_VISIBLE
#else
#define OB_API OB_VISIBLE
#endif

/* Handles. The library itself sees the classes behind them. */
#ifdef OB_IMPLEMENTATION
namespace ob {
class ThreadPool;
class Memory;
struct OwnedMatrix;
class Model;
class CausalStage;
class CausalSession;
class FineSession;
class Codec;
class CodecStream;
}  // namespace ob
typedef ob::ThreadPool ob_pool;
typedef ob::Memory ob_memory;
typedef ob::OwnedMatrix ob_matrix;
typedef ob::Model ob_model;
typedef ob::CausalStage ob_stage;
typedef ob::CausalSession ob_session;
typedef ob::FineSession ob_fine;
typedef ob::Codec ob_codec;
typedef ob::CodecStream ob_codec_stream;
#else
typedef struct ob_pool ob_pool;
typedef struct ob_memory ob_memory;
typedef struct ob_matrix ob_matrix;
typedef struct ob_model ob_model;
typedef struct ob_stage ob_stage;
typedef struct ob_session ob_session;
typedef struct ob_fine ob_fine;
typedef struct ob_codec ob_codec;
typedef struct ob_codec_stream ob_codec_stream;
#endif

/* What a function returns. */
enum ob_status {
  OB_OK = 0,
  OB_INVALID = 1,    /* an argument is outside its allowed values */
  OB_NO_MEMORY = 2,
  OB_FAILED = 3      /* the system refused something, such as another thread */
};

/* Kernel variants, each for one instruction set. */
enum ob_isa { OB_ISA_GENERIC = 0, OB_ISA_AVX2 = 1, OB_ISA_AVX512 = 2, OB_ISA_NEON = 3 };

/* How weights are stored. The numbers are part of packed files. */
enum ob_precision { OB_FLOAT32 = 0, OB_BFLOAT16 = 1, OB_INT8 = 2, OB_INT4 = 3 };

/* What becomes of a product: stored, added to what is there, or put through GELU. */
enum ob_epilogue { OB_STORE = 0, OB_ADD = 1, OB_GELU = 2 };

/* Why a run of draws ended. */
enum ob_stop {
  OB_STOP_LIMIT = 0,            /* all tokens that were asked for */
  OB_STOP_END = 1,              /* the end token was drawn */
  OB_STOP_END_PROBABILITY = 2,  /* the end token became probable enough */
  OB_STOP_CANCELLED = 3
};

enum ob_codec_kind {
  OB_ENCODEC_DECODER = 0,
  OB_ENCODEC_ENCODER = 1,
  OB_ISTFT_DECODER = 2,
  OB_ISTFT_ENCODER = 3,
  OB_SEMANTIC_ENCODER = 4,
  OB_HARMONIC_DECODER = 5,
  OB_HARMONIC_ENCODER = 6
};

#define OB_MAX_HEAD_PARTS 16

/* What a transformer is. Causal stages have one embedding table and one head, cut at `head_starts` into the runs of
   rows that are drawn from together; the fine stage has a table for each codebook, and heads that share the weights of
   the tables from `n_codes_given` on. Flags are 0 or 1. */
typedef struct ob_shape {
  int32_t block_size;
  int32_t n_in;            /* rows of an embedding table */
  int32_t n_out;           /* rows of the head */
  int32_t n_layer;
  int32_t n_head;
  int32_t n_embd;
  int32_t bias;
  int32_t norm_bias;
  int32_t causal;
  int32_t n_tables;
  int32_t n_codes_given;
  int32_t precision;       /* ob_precision of the blocks */
  int32_t head_precision;  /* ob_precision of the heads */
  int32_t n_heads_cut;     /* how many of head_starts count */
  int32_t head_starts[OB_MAX_HEAD_PARTS];
} ob_shape;

/* How a stage draws: top_p, then top_k, then the temperature. */
typedef struct ob_sampling {
  double temperature;  /* 0: always the most likely token */
  double top_p;        /* 1 and more: off */
  double min_eos_p;    /* above 1: off */
  int32_t top_k;       /* 0: off */
} ob_sampling;

/* What may be drawn, and how many times. Token number t of the request comes from the `n_tokens` head rows from
   first_token + (t % n_codebooks) * n_tokens on; `end_token` (-1: none) may be drawn besides, and ends the run. */
typedef struct ob_draw_rules {
  ob_sampling sampling;
  uint64_t seed;        /* of the noise, with `stage` and the number of the token */
  int32_t stage;
  int32_t first_step;   /* number of the first token */
  int32_t n_steps;      /* tokens to draw */
  int32_t first_token;
  int32_t n_tokens;
  int32_t n_codebooks;
  int32_t end_token;
} ob_draw_rules;

/* One session's part in a run of draws. */
typedef struct ob_run {
  ob_session* session;
  const ob_draw_rules* rules;
  const volatile int32_t* cancel;  /* may be NULL; another thread writes 1 to stop the run before its next step */
  int32_t* out;                    /* room for rules->n_steps tokens */
  int32_t count;                   /* result: tokens drawn */
  int32_t stop;                    /* result: an ob_stop */
} ob_run;

/* ---- Library ---- */

/* The first 8 bytes of the SHA-256 of this header, of which the library was built. Differs: do not call the rest. */
OB_API uint64_t ob_version(void);

/* What the last failure of the calling thread was; valid until its next failure. */
OB_API const char* ob_error(void);

/* 1 if this build has the variant and this processor runs it. */
OB_API int ob_isa_available(int isa);

/* The fastest variant that is available. */
OB_API int ob_best_isa(void);

/* Cores that scheduling affinity and the control group's quota leave to the process; at least 1. */
OB_API int ob_usable_cores(void);

/* A checksum of n bytes that any changed, moved or exchanged bytes change. As fast as memory; not cryptographic. */
OB_API uint64_t ob_checksum(const void* bytes, size_t n);

/* Returns to the system what was freed and the C library kept. */
OB_API void ob_memory_trim(void);

/* ---- Memory: zeroed, aligned, on huge pages where it is large ---- */

OB_API int ob_memory_create(size_t bytes, ob_memory** out, void** start);
OB_API void ob_memory_destroy(ob_memory* memory);

/* ---- Pools of threads ---- */

/* threads: 0 takes ob_usable_cores(). Fails with OB_INVALID for an `isa` that is not available. */
OB_API int ob_pool_create(int threads, int isa, ob_pool** out);
OB_API void ob_pool_destroy(ob_pool* pool);

/* Threads that share the work, the caller's included. */
OB_API int ob_pool_size(const ob_pool* pool);

/* Name of the kernel variant. */
OB_API const char* ob_pool_kernels(const ob_pool* pool);

/* Bit p is set when weights of ob_precision p can be used. */
OB_API int ob_pool_precisions(const ob_pool* pool);

/* ---- Transformers ---- */

/* Bytes of the packed weights. */
OB_API int ob_model_bytes(const ob_pool* pool, const ob_shape* shape, size_t* out);

/* packed: ob_model_bytes bytes at a multiple of 64, filled by ob_model_put or from a file; used until the end. */
OB_API int ob_model_create(const ob_pool* pool, const ob_shape* shape, void* packed, ob_model** out);
OB_API void ob_model_destroy(ob_model* model);

/* Packs a tensor of the checkpoint, by its name there without the stage's prefix. */
OB_API int ob_model_put(ob_model* model, ob_pool* pool, const char* name, const float* data);

/* Embedding table number `index`: rows [n_in, n_embd], used until the end. */
OB_API void ob_model_table(ob_model* model, int index, const float* rows);

/* ---- Semantic and coarse stage ---- */

/* What the sessions of one model share. */
OB_API int ob_stage_create(ob_pool* pool, const ob_model* model, ob_stage** out);
OB_API void ob_stage_destroy(ob_stage* stage);

/* Advances n sessions of this stage together: each draws up to its rules' n_steps tokens and reads all but the last,
   which waits for the next call. Its tokens do not depend on the other sessions. OB_INVALID: nothing was drawn. */
OB_API int ob_stage_draw(ob_stage* stage, ob_run* runs, int n);

/* A sequence with its cache of keys and values. */
OB_API int ob_causal_create(ob_stage* stage, ob_session** out);
OB_API void ob_causal_destroy(ob_session* session);

/* Starts over with ids [n], n >= 1; the first n_summed positions also get the embeddings of summed [n_summed].
   Leading positions that hold the same tokens already are kept. */
OB_API int ob_causal_prefill(ob_session* session, const int64_t* ids, int n, const int64_t* summed, int n_summed);

/* Positions of the last prompt that were in the cache before. */
OB_API int ob_causal_reused(const ob_session* session);

/* Appends a token. */
OB_API int ob_causal_step(ob_session* session, int64_t id);

/* Logits [n_out] after the last position. */
OB_API int ob_causal_logits(ob_session* session, float* out);

/* ---- Fine stage ---- */

/* Room for a window of codes, used by one codebook after the other. */
OB_API int ob_fine_create(ob_pool* pool, const ob_model* model, ob_fine** out);
OB_API void ob_fine_destroy(ob_fine* session);

/* Logits [n - first, n_out] of codebook k at positions first..n of codes [n_tables, n]. */
OB_API int ob_fine_logits(ob_fine* session, const int64_t* codes, int n, int k, int first, float* out);

/* Draws codebook k at positions first..n into out [n - first], from the first n_tokens rows of its head; position p
   takes the noise of row first_row + p - first. */
OB_API int ob_fine_draw(ob_fine* session, const int64_t* codes, int n, int k, int first, const ob_sampling* sampling,
                        uint64_t seed, int stage, int first_row, int n_tokens, int64_t* out);

/* ---- Codecs: one network each, a decoder or an encoder ---- */

/* sizes and arrays in the order of codec_layout.py, lengths [n_arrays] in floats. The tables of codebooks are used
   until the end, everything else is copied. Runs on pools with the same kernels. */
OB_API int ob_codec_create(ob_pool* pool, int kind, const int32_t* sizes, int n_sizes, const float* const* arrays,
                           const int64_t* lengths, int n_arrays, ob_codec** out);
OB_API void ob_codec_destroy(ob_codec* codec);

/* waveform [frames * hop] of codes [n_codebooks, frames]. */
OB_API int ob_codec_decode(const ob_codec* codec, ob_pool* pool, const int32_t* codes, int n_codebooks, int frames,
                           float* waveform);

/* codes [n_codebooks, ceil(length / hop)] of waveform [length]. */
OB_API int ob_codec_encode(const ob_codec* codec, ob_pool* pool, const float* waveform, int64_t length,
                           int n_codebooks, int32_t* codes);

/* A decoder for codes that arrive in parts. */
OB_API int ob_codec_stream_create(const ob_codec* codec, ob_codec_stream** out);
OB_API void ob_codec_stream_destroy(ob_codec_stream* stream);

/* Adds codes [n_codebooks, frames], the last ones or not; writes the samples that are now known, of n_frames frames.
   waveform has room for every frame that was pushed and has not come out. */
OB_API int ob_codec_stream_push(ob_codec_stream* stream, ob_pool* pool, const int32_t* codes, int n_codebooks,
                                int frames, int last, float* waveform, int* n_frames);

/* ---- Probes: what this machine can do at best ---- */

/* seconds [passes] in which all threads together read `bytes` of memory in order, each its own part. */
OB_API int ob_probe_read(ob_pool* pool, size_t bytes, int passes, double* seconds);

/* seconds [passes] in which every thread multiplies matrices that stay in its own caches; operations: multiplications
   and additions of one pass, over all threads. */
OB_API int ob_probe_gemm(ob_pool* pool, int precision, int passes, double* seconds, double* operations);

/* ---- Parts, for tests against plain arithmetic ---- */

/* A packed matrix of rows [n, k]. */
OB_API int ob_matrix_create(ob_pool* pool, int precision, int n, int k, const float* rows, ob_matrix** out);
OB_API void ob_matrix_destroy(ob_matrix* matrix);

/* y[m, n] = epilogue(x[m, k] . matrix^T + bias), `times` over; bias may be NULL. */
OB_API int ob_matrix_product(const ob_matrix* matrix, ob_pool* pool, int m, const float* x, const float* bias,
                             int epilogue, float* y, int times);

/* Attention of one head over keys and values [n, head_dim]: out [rows, head_dim] for queries q [rows, head_dim], of
   which row r sees the first visible + r * visible_step positions. */
OB_API int ob_attention(ob_pool* pool, int precision, int head_dim, int n, const float* keys, const float* values,
                        int rows, int visible, int visible_step, const float* q, float* out);

/* One number in [0, 1) of the noise. */
OB_API double ob_uniform(uint64_t seed, int stage, int step, int row);

/* Draws from logits [n] with a number in [0, 1). slowly: 1 draws by the rules' own walk alone. walked: whether that
   walk was needed; reaches: whether the probability of the last of the n is min_eos_p or more. */
OB_API int ob_draw_row(const ob_pool* pool, const float* logits, int n, const ob_sampling* sampling, double number,
                       int slowly, int* token, int* walked, int* reaches, double* last_probability);

#endif /* OPENBARK_H */

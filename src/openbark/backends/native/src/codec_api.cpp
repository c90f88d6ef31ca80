// The C interface of the codecs, documented in include/openbark.h. The caller has checked shapes and code values.
#include "codec.h"
#include "guard.h"

namespace ob {
namespace {

std::unique_ptr<Codec> make_codec(CodecKind kind, Description& description) {
  switch (kind) {
    case CodecKind::kEncodecDecoder:
      return make_encodec_decoder(description);
    case CodecKind::kEncodecEncoder:
      return make_encodec_encoder(description);
    case CodecKind::kIstftDecoder:
      return make_istft_decoder(description);
    case CodecKind::kIstftEncoder:
      return make_istft_encoder(description);
    case CodecKind::kSemanticEncoder:
      return make_semantic_encoder(description);
    case CodecKind::kHarmonicDecoder:
      return make_harmonic_decoder(description);
    case CodecKind::kHarmonicEncoder:
      return make_harmonic_encoder(description);
  }
  throw std::invalid_argument("codec: unknown kind");
}

}  // namespace
}  // namespace ob

OB_API int ob_codec_create(ob::ThreadPool* pool, int kind, const int32_t* sizes, int n_sizes,
                           const float* const* arrays, const int64_t* lengths, int n_arrays,
                           ob::Codec** out) {
  return ob::guarded([&] {
    ob::Description description(*pool, sizes, n_sizes, arrays, lengths, n_arrays);
    std::unique_ptr<ob::Codec> codec =
        ob::make_codec(static_cast<ob::CodecKind>(kind), description);
    description.finish();
    *out = codec.release();
  });
}

OB_API void ob_codec_destroy(ob::Codec* codec) { delete codec; }

OB_API int ob_codec_decode(const ob::Codec* codec, ob::ThreadPool* pool, const int32_t* codes,
                           int n_codebooks, int frames, float* waveform) {
  return ob::guarded([&] {
    const ob::ThreadPool::ActiveScope active(*pool);
    codec->decode(*pool, codes, n_codebooks, frames, waveform);
  });
}

OB_API int ob_codec_stream_create(const ob::Codec* codec, ob::CodecStream** out) {
  return ob::guarded([&] { *out = codec->stream().release(); });
}

OB_API void ob_codec_stream_destroy(ob::CodecStream* stream) { delete stream; }

OB_API int ob_codec_stream_push(ob::CodecStream* stream, ob::ThreadPool* pool, const int32_t* codes,
                                int n_codebooks, int frames, int last, float* waveform,
                                int* n_frames) {
  return ob::guarded([&] {
    const ob::ThreadPool::ActiveScope active(*pool);
    *n_frames = stream->push(*pool, codes, n_codebooks, frames, last != 0, waveform);
  });
}

OB_API int ob_codec_encode(const ob::Codec* codec, ob::ThreadPool* pool, const float* waveform,
                           int64_t length, int n_codebooks, int32_t* codes) {
  return ob::guarded([&] {
    const ob::ThreadPool::ActiveScope active(*pool);
    codec->encode(*pool, waveform, length, n_codebooks, codes);
  });
}

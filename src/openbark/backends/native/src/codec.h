// What every codec network offers to the C interface.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>

#include "codec_description.h"
#include "interface.h"
#include "threads.h"

namespace ob {

enum class CodecKind : int {
  kEncodecDecoder = OB_ENCODEC_DECODER,
  kEncodecEncoder = OB_ENCODEC_ENCODER,
  kIstftDecoder = OB_ISTFT_DECODER,
  kIstftEncoder = OB_ISTFT_ENCODER,
  kSemanticEncoder = OB_SEMANTIC_ENCODER,
  kHarmonicDecoder = OB_HARMONIC_DECODER,
  kHarmonicEncoder = OB_HARMONIC_ENCODER
};

// A decoder in the middle of a sequence, for one caller at a time. Lives no longer than its codec.
class CodecStream {
 public:
  virtual ~CodecStream() = default;

  // Adds codes [n_codebooks, frames], the last ones of the sequence or not, and writes the samples that
  // are now known: hop of them for each of the frames it returns, at most all that were not yet written.
  virtual int push(ThreadPool&, const int32_t* codes, int n_codebooks, int frames, bool last,
                   float* waveform) = 0;
};

// One direction of a codec. Immutable once built: calls may run at the same time on different pools
// that use the kernels it was built for.
class Codec {
 public:
  virtual ~Codec() = default;

  // waveform [frames * hop] of codes [n_codebooks, frames].
  virtual void decode(ThreadPool&, const int32_t* /*codes*/, int /*n_codebooks*/, int /*frames*/,
                      float* /*waveform*/) const {
    throw std::logic_error("codec: an encoder cannot decode");
  }

  virtual std::unique_ptr<CodecStream> stream() const {
    throw std::logic_error("codec: this network cannot stream");
  }

  // codes [n_codebooks, ceil(length / hop)] of waveform [length].
  virtual void encode(ThreadPool&, const float* /*waveform*/, int64_t /*length*/,
                      int /*n_codebooks*/, int32_t* /*codes*/) const {
    throw std::logic_error("codec: a decoder cannot encode");
  }
};

std::unique_ptr<Codec> make_encodec_decoder(Description& description);
std::unique_ptr<Codec> make_encodec_encoder(Description& description);
std::unique_ptr<Codec> make_istft_decoder(Description& description);
std::unique_ptr<Codec> make_istft_encoder(Description& description);
std::unique_ptr<Codec> make_harmonic_decoder(Description& description);
std::unique_ptr<Codec> make_harmonic_encoder(Description& description);
std::unique_ptr<Codec> make_semantic_encoder(Description& description);

}  // namespace ob

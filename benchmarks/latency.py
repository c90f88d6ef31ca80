"""How early `latency="low"` is heard, and how far its audio is from the plain one.

Run from the root of the repository:

    python -m benchmarks.latency [--runs 9] [--voice en_0] [--heard 60]

Prints a card, then one line of JSON. Sentences of about twelve words are spoken alone, plain and low by turns:

* first: time to the first block over the time of the whole plain clip, by sentence, median over the runs, and the
  median of all; work: time of the whole low-latency clip over the plain one; hold: seconds of audio that a player had
  to wait for, after the first block, so that it never ran dry (measured arrivals).
* fine: share of equal codes, by codebook; semantic and coarse tokens must be equal.
* mel: mean distance in dB of log-mel frames (80 bands, 46 ms, every 10 ms) of the two clips.
* words: with --heard N, word error rates of N sentences of the synthetic corpus, plain and low, as pocketsphinx hears them
  (bigram model of other sentences of the grammar, vocabulary closed over the N plus 300 words).
* wav: the blocks, written as they come, are read by the strict readers `wave` and soundfile, sample for sample.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import wave
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.language_model import choose_vocabulary, count_bigrams
from benchmarks.recogniser import Recogniser, load_pronunciations
from benchmarks.word_errors import edit_distance
from openbark import __version__
from openbark.api import Bark
from openbark.audio import Waveform, open_encoder, pcm16
from openbark.engine.cascade import run
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Request
from recipes.embedded.synth.grammar import Grammar
from recipes.embedded.synth.sentences import words_of

__all__ = ["SENTENCES", "hold_seconds", "main", "mel_distance", "strict_wav"]

SENTENCES = (
    "The old train to the city leaves the small station at seven.",
    "She put the red book on the table and closed the window.",
    "We walked along the river until the rain began to fall again.",
)
TARGET = 0.35
_SEED = 1
_N_MELS, _N_FFT, _HOP = 80, 1104, 240


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How early low latency is heard.")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--voice", default="en_0", help="a voice, or none")
    parser.add_argument("--heard", type=int, default=0, help="sentences to listen to")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--model", default="embedded")
    return parser.parse_args(arguments)


def hold_seconds(arrivals: Sequence[float], seconds: Sequence[float]) -> float:
    """How long after its first block a player must wait, for none of the later blocks to be late.

    arrivals: when each block came; seconds: how long each of them is.
    """
    starts = np.cumsum([0.0, *seconds[:-1]])
    return float(max(0.0, np.max(np.asarray(arrivals) - arrivals[0] - starts)))


def mel_distance(one: Waveform, other: Waveform, sample_rate: int) -> float:
    """Mean over frames of the root mean square difference of log-mel spectra, in dB."""
    gap = _log_mel(one, sample_rate) - _log_mel(other, sample_rate)
    return float(np.sqrt((gap**2).mean(axis=1)).mean())


def _log_mel(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    padded = np.pad(waveform.astype(np.float64), _N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_N_FFT), axis=1)) ** 2
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _N_MELS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(_N_FFT, 1 / sample_rate)
    rising = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    bands = np.clip(np.minimum(rising, falling), 0, None)
    # 60 dB below full scale is silence for this purpose.
    return np.asarray(10 * np.log10(power @ bands + 1e-3))


def strict_wav(blocks: Sequence[Waveform], sample_rate: int) -> bool:
    """Whether a WAV made of blocks as they come reads back as the same samples, twice."""
    encoder = open_encoder("wav", sample_rate)
    data = b"".join([*(encoder.write(block) for block in blocks), encoder.finish()])
    wanted = pcm16(np.concatenate(blocks))
    with wave.open(io.BytesIO(data)) as stream:
        read = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    again, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    return np.array_equal(read, wanted) and np.array_equal(again, wanted) and rate == sample_rate


def _timed(bark: Bark, request: Request) -> tuple[CascadeResult, list[float], list[Waveform]]:
    """The result, when each block came, and the blocks."""
    engine, blocks, arrivals = Engine(bark.backend), [], []
    started = time.perf_counter()
    handle = engine.submit(request)
    for block in handle.stream():
        arrivals.append(time.perf_counter() - started)
        blocks.append(block)
    return handle.result(), arrivals, blocks


def _measure(bark: Bark, text: str, voice: str | None, runs: int) -> dict[str, Any]:
    plain = bark.request(text, voice=voice, seed=_SEED)
    low = replace(plain, latency="low")
    whole, first, work, hold = [], [], [], []
    rate = bark.sample_rate
    for request in (plain, low):
        _timed(bark, request)
    for _ in range(runs):
        wanted, arrivals, _ = _timed(bark, plain)
        whole.append(arrivals[-1])
        found, arrivals, blocks = _timed(bark, low)
        first.append(arrivals[0])
        work.append(arrivals[-1])
        hold.append(hold_seconds(arrivals, [len(block) / rate for block in blocks]))
    exact = all(
        np.array_equal(getattr(wanted, name), getattr(found, name))
        for name in ("semantic", "coarse")
    )
    return {
        "text": text,
        "words": len(text.split()),
        "audio_s": round(len(wanted.waveform) / rate, 3),
        "whole_s": round(statistics.median(whole), 4),
        "first_s": round(statistics.median(first), 4),
        "first_of_whole": round(statistics.median(first) / statistics.median(whole), 4),
        "work_of_whole": round(statistics.median(work) / statistics.median(whole), 4),
        "hold_s": round(statistics.median(hold), 4),
        "first_block_s": round(len(blocks[0]) / rate, 3),
        "n_blocks": len(blocks),
        "exact_tokens": exact,
        "fine_equal": [
            round(float((a == b).mean()), 3) for a, b in zip(wanted.fine, found.fine, strict=True)
        ],
        "mel_db": round(mel_distance(wanted.waveform, found.waveform, rate), 3),
        "blocks_are_result": np.array_equal(np.concatenate(blocks), found.waveform),
        "strict_wav": strict_wav(blocks, rate),
    }


def _heard(bark: Bark, voice: str | None, n_sentences: int) -> dict[str, float]:
    """Word error rates of the plain and of the low-latency clips."""
    grammar, rng = Grammar(), Random("latency")
    texts = [grammar.sentence(rng) for _ in range(n_sentences)]
    training = [words_of(grammar.sentence(rng)) for _ in range(4000)]
    pronunciations = load_pronunciations()
    said = [words_of(text) for text in texts]
    vocabulary = choose_vocabulary(said, training, pronunciations, n_distractors=300, seed=0)
    model = count_bigrams(vocabulary, training)
    recogniser = Recogniser(
        {word: pronunciations[word] for word in vocabulary}, arpa=model.to_arpa()
    )
    errors = {"sentence": 0, "low": 0}
    for index, (text, words) in enumerate(zip(texts, said, strict=True)):
        plain = bark.request(text, voice=voice, seed=index)
        for latency in errors:
            result = run(bark.backend, replace(plain, latency=latency))
            errors[latency] += edit_distance(
                words, recogniser.hear(result.waveform, bark.sample_rate)
            )
    n_words = sum(len(words) for words in said)
    return {latency: round(count / n_words, 4) for latency, count in errors.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 when the target is met."""
    options = _parse(arguments)
    bark = Bark.load(options.model, threads=options.threads)
    voice = None if options.voice == "none" else options.voice
    rows = [_measure(bark, text, voice, options.runs) for text in SENTENCES]
    first = statistics.median(row["first_of_whole"] for row in rows)
    for row in rows:
        print(
            f"{row['first_of_whole']:6.1%} of the whole clip ({row['first_s'] * 1000:.0f} of "
            f"{row['whole_s'] * 1000:.0f} ms), work {row['work_of_whole']:.2f}x, hold "
            f"{row['hold_s'] * 1000:.0f} ms, mel {row['mel_db']:.2f} dB: {row['text']}",
            file=sys.stderr,
        )
    ok = all(row["exact_tokens"] and row["blocks_are_result"] and row["strict_wav"] for row in rows)
    print(
        f"first audio at {first:.1%} (target {TARGET:.0%}); exact and strict: {ok}", file=sys.stderr
    )
    heard = _heard(bark, voice, options.heard) if options.heard else None
    if heard:
        print(
            f"word errors: plain {heard['sentence']:.1%}, low {heard['low']:.1%}", file=sys.stderr
        )
    document = {
        "benchmark": "latency",
        "version": __version__,
        "backend": bark.backend.description,
        "voice": voice,
        "runs": options.runs,
        "first_of_whole": first,
        "target": TARGET,
        "met": bool(first <= TARGET and ok),
        "word_errors": heard,
        "sentences": rows,
    }
    print(json.dumps(document))
    return 0 if document["met"] else 1


if __name__ == "__main__":
    sys.exit(main())

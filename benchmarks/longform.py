"""A long text spoken start to end: memory, seams, and whether every sentence is still understood.

Run from the root of the repository, with the "bench" extra installed:

    python -m benchmarks.longform [--words 20000] [--policy hybrid] [--sample 200]

Prints a card, then one line of JSON. The text is drawn from the grammar of the synthetic corpus, in
paragraphs and chapters. It is streamed to a WAV file piece by piece:

* memory: resident megabytes after the first minute (or the first tenth, if that comes later than the end)
  and the most after that.
* seams: largest step between two samples where pieces meet (fades and pause included), of full scale.
* words: a sample of pieces, evenly spread, is cut out of the WAV by the times that were reported, and said
  once more alone, with the same and with another seed. All go to pocketsphinx (bigram model of other
  sentences of the grammar, vocabulary closed over the sample plus 300 words). A sentence is found when what
  was heard is nearer to it, in words, than to any other sentence of the text; it is clear when at most a
  third of its words are wrong. The two runs alone show how far chance goes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile

from benchmarks.language_model import choose_vocabulary, count_bigrams
from benchmarks.recogniser import Pronunciations, Recogniser, load_pronunciations
from benchmarks.word_errors import Score, edit_distance, pooled_rate
from openbark import __version__
from openbark.api import Bark
from openbark.audio import pcm16
from openbark.errors import OpenBarkError, ParamError
from openbark.longform.join import Placed
from openbark.longform.options import POLICIES, LongFormOptions
from openbark.speech.options import SpeechOptions
from recipes.embedded.synth.grammar import Grammar
from recipes.embedded.synth.sentences import words_of

__all__ = ["Options", "Run", "main", "make_text", "measure", "parse", "speak"]

TARGETS = {"found_share_long": 0.95, "seam": 0.1}
"""At least, at most."""

_CLEAR = 1 / 3
_N_TRAINING = 4000
_N_DISTRACTORS = 300
_MINUTE = 60.0


@dataclass(frozen=True)
class Options:
    """What to measure. sample: pieces that are listened to, 0 for none. out: WAV file to keep."""

    words: int = 20_000
    voice: str = "en_0"
    policy: str = "hybrid"
    anchor_every: int = 4
    sample: int = 200
    seed: int = 1
    model: str = "embedded"
    threads: int | None = None
    dtype: str | None = None
    ahead: int = 8
    out: Path | None = None


@dataclass
class Run:
    """What a run left behind. places: of every piece, in samples of the file."""

    n_samples: int = 0
    wall_s: float = 0.0
    places: list[Placed] = field(default_factory=list)
    seams: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


def make_text(n_words: int, seed: int = 1) -> str:
    """Chapters of paragraphs of sentences, `n_words` of them and a little more, the same for the same seed."""
    grammar, rng = Grammar(), Random(f"longform/{seed}")
    chapters: list[str] = []
    count = 0
    while count < n_words:
        paragraphs = [f"Chapter {len(chapters) + 1}"]
        while len(paragraphs) < 13 and count < n_words:
            sentences = []
            while len(sentences) < rng.randint(3, 7):
                sentence = grammar.sentence(rng)
                if sentence[-1] in '.!?"':
                    sentences.append(sentence)
                    count += len(sentence.split())
            paragraphs.append(" ".join(sentences))
        chapters.append("\n\n".join(paragraphs))
    return "\n\n".join(chapters)


def speak(bark: Bark, text: str, options: Options, path: Path, say: Callable[[str], None]) -> Run:
    """Stream the text to a WAV file at `path`."""
    run = Run()
    long_form = LongFormOptions(
        policy=options.policy, anchor_every=options.anchor_every, ahead=options.ahead
    )
    how = SpeechOptions(voice=options.voice, seed=options.seed, long_form=long_form)
    job = bark.job(text, how)
    n_pieces = len(job.planned.plan.pieces)
    n_fade = round(long_form.crossfade_seconds * bark.sample_rate)
    started = time.perf_counter()
    with soundfile.SoundFile(path, "w", bark.sample_rate, 1, subtype="PCM_16") as file:
        for placed in job.placed(bark.engine):
            file.write(pcm16(placed.block))
            if run.places and placed.spoken is not None:
                gap = round(run.places[-1].spoken.piece.pause * bark.sample_rate)  # type: ignore[union-attr]
                seam = placed.block[: 2 * n_fade + gap]
                run.seams.append(float(np.abs(np.diff(seam)).max()))
            run.n_samples += len(placed.block)
            if placed.spoken is None:
                continue
            run.places.append(_without_audio(placed))
            run.memory.append((time.perf_counter() - started, _resident_mb()))
            if len(run.places) % 100 == 0:
                say(
                    f"{len(run.places)} of {n_pieces} pieces, {run.n_samples / bark.sample_rate:.0f} s of "
                    f"audio, {run.memory[-1][1]:.0f} MB"
                )
    run.wall_s = time.perf_counter() - started
    return run


def _without_audio(placed: Placed) -> Placed:
    """What is known of a piece but its samples and tokens: a book of those must not stay in memory."""
    from dataclasses import replace

    spoken = placed.spoken
    if spoken is None:
        return placed
    nothing = np.zeros(0, dtype=np.float32)
    none = np.zeros(0, dtype=np.int64)
    result = replace(spoken.result, semantic=none, coarse=none, fine=none, waveform=nothing)
    return replace(placed, block=nothing, spoken=replace(spoken, waveform=nothing, result=result))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def _memory(run: Run) -> dict[str, Any]:
    """Megabytes in the first minute and after."""
    split = min(_MINUTE, run.wall_s / 10) if run.wall_s < 2 * _MINUTE else _MINUTE
    first = [mb for at, mb in run.memory if at <= split] or [run.memory[0][1]]
    rest = [mb for at, mb in run.memory if at > split] or first
    return {
        "first_s": round(split, 1),
        "first_mb": round(max(first), 1),
        "rest_mb": round(max(rest), 1),
        "end_mb": round(rest[-1], 1),
        "growth": round(max(rest) / max(first) - 1, 4),
    }


def listen(
    bark: Bark, run: Run, options: Options, path: Path, pronunciations: Pronunciations
) -> dict[str, Any]:
    """Hear a sample of pieces in the file and alone."""
    known = [
        each
        for each in run.places
        if each.spoken is not None
        and len(words_of(each.spoken.piece.normalized)) >= 3
        and all(word in pronunciations for word in words_of(each.spoken.piece.normalized))
    ]
    step = max(1, len(known) // options.sample)
    sample = known[::step][: options.sample]
    expected = [words_of(each.spoken.piece.normalized) for each in sample if each.spoken]
    texts = {words_of(each.spoken.piece.normalized) for each in run.places if each.spoken}
    recogniser = _recogniser(expected, pronunciations)
    hearings: dict[str, list[Hearing]] = {"long": [], "alone": [], "alone_again": []}
    for place, words in zip(sample, expected, strict=True):
        if place.spoken is None:
            continue
        cut, rate = soundfile.read(
            path, start=place.first_sample, stop=place.end_sample, dtype="float32"
        )
        seed, text = place.spoken.seed, place.spoken.piece.text
        whole = LongFormOptions(split="none")
        waveforms = {
            "long": cut,
            "alone": bark.generate(text, options.voice, seed, options=whole).waveform,
            "alone_again": bark.generate(text, options.voice, seed ^ 1, options=whole).waveform,
        }
        for name, waveform in waveforms.items():
            hearings[name].append(judge(words, recogniser.hear(waveform, rate), texts))
    return compare(hearings)


@dataclass(frozen=True)
class Hearing:
    """What was heard of one sentence. is_found: nearer to it than to any other of the text."""

    said: tuple[str, ...]
    heard: tuple[str, ...]
    score: Score
    is_found: bool

    @property
    def is_clear(self) -> bool:
        """At most a third of the words are wrong."""
        return self.score.errors <= _CLEAR * self.score.n_words


def judge(
    said: tuple[str, ...], heard: tuple[str, ...], texts: Collection[tuple[str, ...]]
) -> Hearing:
    """Compare what was heard with what was said, and with everything else that might have been."""
    errors = edit_distance(said, heard)
    is_found = errors < len(said) and not any(
        # No closer than the difference in length, which is soon told.
        abs(len(other) - len(heard)) <= errors and edit_distance(other, heard) <= errors
        for other in texts
        if other != said
    )
    return Hearing(said, heard, Score(errors, len(said)), is_found)


def compare(hearings: dict[str, list[Hearing]]) -> dict[str, Any]:
    """How much of what is found or clear alone is so in the long run, and in another run alone."""
    document: dict[str, Any] = {"n_sample": len(hearings["alone"])}
    for what in ("found", "clear"):
        marks = {
            name: [bool(getattr(each, f"is_{what}")) for each in row]
            for name, row in hearings.items()
        }
        for name, row in marks.items():
            document[f"{what}_{name}"] = sum(row)
        for name in ("long", "alone_again"):
            both = sum(a and b for a, b in zip(marks[name], marks["alone"], strict=True))
            document[f"{what}_share_{name}"] = round(both / max(sum(marks["alone"]), 1), 4)
    for name, row in hearings.items():
        document[f"word_errors_{name}"] = round(pooled_rate([each.score for each in row]), 4)
    document["missed"] = [
        {"said": " ".join(long.said), "heard": " ".join(long.heard)}
        for long, alone in zip(hearings["long"], hearings["alone"], strict=True)
        if alone.is_found and not long.is_found
    ]
    return document


def _recogniser(expected: Sequence[tuple[str, ...]], pronunciations: Pronunciations) -> Recogniser:
    grammar, rng = Grammar(), Random("longform/training")
    training = [words_of(grammar.sentence(rng)) for _ in range(_N_TRAINING)]
    vocabulary = choose_vocabulary(
        expected, training, pronunciations, n_distractors=_N_DISTRACTORS, seed=0
    )
    model = count_bigrams(vocabulary, training)
    return Recogniser({word: pronunciations[word] for word in vocabulary}, arpa=model.to_arpa())


def measure(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Speak and listen; the JSON document as a dictionary."""
    pronunciations = load_pronunciations() if options.sample else {}
    bark = Bark.load(options.model, threads=options.threads, dtype=options.dtype)
    text = make_text(options.words, options.seed)
    with tempfile.TemporaryDirectory(prefix="openbark-") as folder:
        path = options.out or Path(folder) / "long.wav"
        run = speak(bark, text, options, path, say)
        heard = listen(bark, run, options, path, pronunciations) if options.sample else None
    seconds = run.n_samples / bark.sample_rate
    spoken = [each.spoken for each in run.places if each.spoken is not None]
    said = sum(len("".join(each.piece.text.split())) for each in spoken)
    return {
        "benchmark": "longform",
        "version": __version__,
        "model": bark.config.name,
        "backend": bark.backend.description,
        "policy": options.policy,
        "n_words": len(text.split()),
        "n_pieces": len(spoken),
        "all_said": said == len("".join(text.split())),
        "n_made_again": sum(len(each.attempts) > 1 for each in spoken),
        "n_with_faults": sum(bool(each.attempts[-1].faults) for each in spoken),
        "audio_s": round(seconds, 1),
        "wall_s": round(run.wall_s, 1),
        "real_time_factor": round(run.wall_s / seconds, 4),
        "memory": _memory(run),
        "largest_step_at_a_seam": round(max(run.seams, default=0.0), 4),
        "words": heard,
        "targets": TARGETS,
    }


def card(document: dict[str, Any]) -> str:
    """The document for people."""
    memory, heard = document["memory"], document["words"]
    lines = [
        f"{document['n_words']} words in {document['n_pieces']} pieces, policy {document['policy']}: "
        f"{document['audio_s']} s of audio in {document['wall_s']} s (real-time factor "
        f"{document['real_time_factor']})",
        f"every character said: {document['all_said']}; made again: {document['n_made_again']}, with "
        f"faults in the end: {document['n_with_faults']}",
        f"memory: {memory['first_mb']} MB in the first {memory['first_s']} s, {memory['rest_mb']} MB after "
        f"({memory['growth']:+.1%}), {memory['end_mb']} MB at the end",
        f"largest step at a seam: {document['largest_step_at_a_seam']} of full scale",
    ]
    if heard:
        lines.append(
            f"of {heard['n_sample']} sentences {heard['found_alone']} are found alone; of those "
            f"{heard['found_share_long']:.1%} in the long run, {heard['found_share_alone_again']:.1%} alone with "
            f"another seed\nclear: {heard['clear_alone']} alone, {heard['clear_long']} in the long run, "
            f"{heard['clear_alone_again']} alone with another seed; word errors {heard['word_errors_alone']:.1%}, "
            f"{heard['word_errors_long']:.1%}, {heard['word_errors_alone_again']:.1%}"
        )
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line. Raises ParamError."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.longform",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Options()
    add = parser.add_argument
    add("--words", type=int, default=default.words, help="length of the text")
    add("--voice", default=default.voice)
    add("--policy", choices=POLICIES, default=default.policy)
    add("--anchor-every", type=int, default=default.anchor_every)
    add("--sample", type=int, default=default.sample, help="pieces to listen to; 0 for none")
    add("--seed", type=int, default=default.seed)
    add("--model", default=default.model, help="checkpoint folder (default: the embedded model)")
    add("--threads", type=int, help="CPU threads")
    add("--dtype", help="precision of the model")
    add("--ahead", type=int, default=default.ahead, help="pieces in the works at a time")
    add("--out", type=Path, help="WAV file to keep")
    options = Options(**vars(parser.parse_args(arguments)))
    if options.words < 1 or options.sample < 0:
        raise ParamError("--words is from 1, --sample from 0")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    try:
        document = measure(parse(arguments), say)
    except OpenBarkError as error:
        print(f"longform: {error}", file=sys.stderr)
        return error.exit_code
    print(card(document))
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Build the synthetic corpus: sentences spoken by flite, labelled and written in shards.

The plan (who says what) follows from the options and the system's word list; each shard is built
in one process and kept if it exists, so an interrupted build goes on where it stopped. The layout
is train/, valid/, test/, codec_only/ (espeak-ng, without labels) and corpus.json with the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from openbark.errors import TrainingError
from openbark.files import write_atomically
from openbark.training.data import shard_path, write_shard
from recipes.embedded.synth.calibrate import calibrate
from recipes.embedded.synth.parallel import Workers
from recipes.embedded.synth.sentences import (
    SPELLING_LIST,
    TEST_PROMPTS,
    Sentence,
    load_spelling_words,
    make_sentence_sets,
)
from recipes.embedded.synth.speak import FLITE_VOICES
from recipes.embedded.synth.statistics import corpus_report
from recipes.embedded.synth.utterances import Calibration, Line, speak_line

SPLITS = ("train", "valid", "test", "codec_only")
_PRESETS = ("smoke", "mini", "cpu")


@dataclass(frozen=True)
class CorpusOptions:
    """What to build.

    Attributes:
        n_train: training utterances, dealt to the voices in turn, each a text of its own.
        n_valid, n_test: held-out sentences; each is spoken by every voice.
        n_prompts: everyday one- and two-word prompts added to the test set.
        n_codec_only: espeak-ng utterances without labels.
        per_shard: utterances per shard.
        workers: processes; None for one per core.
    """

    n_train: int = 16_000
    n_valid: int = 60
    n_test: int = 60
    n_prompts: int = len(TEST_PROMPTS)
    voices: tuple[str, ...] = FLITE_VOICES
    n_codec_only: int = 1_000
    espeak_voices: tuple[str, ...] = ("en-us", "en-us+f3")
    seed: int = 0
    per_shard: int = 256
    workers: int | None = None

    @classmethod
    def preset(cls, name: Literal["smoke", "mini", "cpu"], seed: int = 0) -> CorpusOptions:
        """Sizes by name: "smoke" (40 utterances), "mini" (200), "cpu" (16,000)."""
        if name == "cpu":
            return cls(seed=seed)
        if name == "smoke":
            return cls(
                n_train=40, n_valid=2, n_test=2, n_prompts=2, voices=FLITE_VOICES[:2],
                n_codec_only=4, seed=seed,
            )  # fmt: skip
        if name == "mini":
            return cls(n_train=200, n_valid=6, n_test=6, n_codec_only=20, seed=seed)
        raise TrainingError(f"no corpus preset {name!r}; choose one of {', '.join(_PRESETS)}")


@dataclass(frozen=True)
class _ShardJob:
    directory: Path
    index: int
    lines: tuple[Line, ...]
    calibration: Calibration


def build_corpus(options: CorpusOptions, directory: Path) -> dict[str, Any]:
    """Build, or finish building, the corpus in a directory.

    Returns:
        The content of corpus.json.

    Raises:
        TrainingError: flite or espeak-ng is missing, the options are impossible, or the directory
            holds a corpus of other options.
    """
    started = time.monotonic()
    directory = Path(directory)
    plan = plan_corpus(options)
    _claim(directory, options, plan)
    if not load_spelling_words():
        _say(
            f"no word list at {SPELLING_LIST}: nothing is said of rare words; Debian's package "
            "wamerican brings one"
        )
    workers = options.workers or os.cpu_count() or 1
    with Workers(workers) as pool:
        calibration = calibrate(plan, directory / "calibration.json", pool)
        jobs = [job for job in _jobs(options, plan, directory, calibration) if not _is_built(job)]
        n_total = sum(len(job.lines) for job in jobs)
        n_done = 0
        begun = time.monotonic()
        for count in pool.as_done(_build_shard, jobs):
            n_done += count
            left = (time.monotonic() - begun) * (n_total - n_done) / n_done
            _say(f"{n_done}/{n_total} utterances, about {left:.0f} s left")
    report = corpus_report(directory, SPLITS, asdict(options))
    report["build_seconds"] = round(time.monotonic() - started, 1)
    content = _json_lines(report)
    write_atomically(directory / "corpus.json", content)
    result: dict[str, Any] = json.loads(content)
    return result


def plan_corpus(options: CorpusOptions) -> dict[str, tuple[Line, ...]]:
    """Who says what in each split; follows from the options and the system's word list."""
    unknown = sorted(set(options.voices) - set(FLITE_VOICES))
    if unknown or not options.voices:
        raise TrainingError(f"voices {unknown} unknown; choose from {', '.join(FLITE_VOICES)}")
    sets = make_sentence_sets(
        options.n_train,
        options.n_valid,
        options.n_test,
        seed=options.seed,
        n_prompts=options.n_prompts,
    )
    spoken = [s for s in sets.train if s.kind == "sentence" and s.text == s.spoken]
    if options.n_codec_only > len(spoken):
        raise TrainingError(f"only {len(spoken)} plain sentences for codec-only utterances")
    return {
        "train": _dealt(sets.train, options.voices, "train"),
        "valid": _spoken_by_all(sets.valid, options.voices, "valid"),
        "test": _spoken_by_all(sets.test, options.voices, "test"),
        "codec_only": _dealt(spoken[: options.n_codec_only], options.espeak_voices, "codec"),
    }


def _dealt(
    sentences: tuple[Sentence, ...] | list[Sentence], voices: tuple[str, ...], name: str
) -> tuple[Line, ...]:
    labelled = name != "codec"
    return tuple(
        Line(f"{name}-{i:05d}", s.text, s.spoken, voices[i % len(voices)], labelled)
        for i, s in enumerate(sentences)
    )


def _spoken_by_all(
    sentences: tuple[Sentence, ...], voices: tuple[str, ...], name: str
) -> tuple[Line, ...]:
    return tuple(
        Line(f"{name}-{i:03d}-{voice}", s.text, s.spoken, voice, True)
        for i, s in enumerate(sentences)
        for voice in voices
    )


def _claim(directory: Path, options: CorpusOptions, plan: dict[str, tuple[Line, ...]]) -> None:
    """Refuse a directory of another plan, whose shards would be mixed with ours."""
    content = json.dumps({k: [asdict(line) for line in v] for k, v in plan.items()})
    mark = hashlib.sha256(f"{options.per_shard}\n{content}".encode()).hexdigest()
    path = directory / "plan.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")).get("plan") != mark:
            raise TrainingError(
                f"{directory} holds a corpus of other options or texts;"
                " choose another directory or delete it"
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    options_seen = asdict(replace(options, workers=None))
    write_atomically(path, _json_lines({"plan": mark, "options": options_seen}))


def _jobs(
    options: CorpusOptions,
    plan: dict[str, tuple[Line, ...]],
    directory: Path,
    calibration: Calibration,
) -> Iterator[_ShardJob]:
    # Small splits first, so that evaluation data exists early.
    for split in sorted(SPLITS, key=lambda name: len(plan[name])):
        lines = plan[split]
        for index, start in enumerate(range(0, len(lines), options.per_shard)):
            part = lines[start : start + options.per_shard]
            yield _ShardJob(directory / split, index, part, calibration)


def _is_built(job: _ShardJob) -> bool:
    return shard_path(job.directory, job.index).exists()


def _build_shard(job: _ShardJob) -> int:
    utterances = [speak_line(line, job.calibration) for line in job.lines]
    write_shard(job.directory, job.index, utterances)
    return len(utterances)


def _say(message: str) -> None:
    print(f"corpus: {message}", file=sys.stderr, flush=True)


def _json_lines(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()

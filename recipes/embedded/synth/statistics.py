"""The figures of a corpus on disk: hours, utterances, words, label use, program versions."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openbark.training.data import Utterance, read_shards
from recipes.embedded.synth.labels import PHONES, SEMANTIC_VOCAB_SIZE
from recipes.embedded.synth.sentences import words_of
from recipes.embedded.synth.speak import SAMPLE_RATE


def corpus_report(
    directory: Path, splits: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe every split that exists, and how it was made."""
    found = [split for split in splits if any((directory / split).glob("shard-*.jsonl"))]
    return {
        "options": dict(options),
        "sample_rate": SAMPLE_RATE,
        "phones": list(PHONES),
        "semantic_vocab_size": SEMANTIC_VOCAB_SIZE,
        "versions": _versions(),
        "splits": {split: _describe(read_shards(directory / split)) for split in found},
    }


def _describe(utterances: Sequence[Utterance]) -> dict[str, Any]:
    seconds: dict[str, float] = defaultdict(float)
    words: Counter[str] = Counter()
    used = np.zeros(SEMANTIC_VOCAB_SIZE, np.int64)
    for utterance in utterances:
        if utterance.waveform is not None:
            seconds[utterance.speaker] += len(utterance.waveform) / SAMPLE_RATE
        if utterance.semantic is not None:
            used += np.bincount(utterance.semantic, minlength=SEMANTIC_VOCAB_SIZE)
        words.update(words_of(utterance.text))
    total = sum(seconds.values())
    return {
        "utterances": len(utterances),
        "hours": round(total / 3600, 3),
        "mean_seconds": round(total / len(utterances), 3),
        "mean_characters": round(float(np.mean([len(u.text) for u in utterances])), 2),
        "max_characters": max(len(u.text) for u in utterances),
        "words": sum(words.values()),
        "unique_words": len(words),
        "semantic_frames": int(used.sum()),
        "semantic_ids_used": int((used > 0).sum()),
        "hours_by_speaker": {name: round(value / 3600, 3) for name, value in seconds.items()},
    }


def _versions() -> dict[str, str]:
    versions = {"numpy": np.__version__}
    for name in ("flite", "espeak-ng"):
        path = shutil.which(name)
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            versions[name] = next((line for line in lines if "ersion" in line or "NG" in line), "")
    return versions

"""Word errors, opinion scores and speaker similarity of a model's presets, by independent ears.

    python -m benchmarks.listen --whisper FOLDER [--model embedded] [--texts natural names] [--voices heart ...]
    python -m benchmarks.listen --whisper FOLDER --clips FOLDER --texts natural

With `--clips` existing recordings are measured instead (0000.wav ..., one a line of the text): the teacher's, for
example. `--references FOLDER` holds VOICE.wav, a recording of the speaker each preset is made of. The texts lie in
`benchmarks/texts`; no training text contains them. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ears import OpinionScores, Recogniser, SpeakerEncoder, plain_words
from openbark.api import Bark
from openbark.audio import read_audio

__all__ = ["main"]

TEXTS = Path(__file__).parent / "texts"


@dataclass(frozen=True)
class _Clip:
    text: str
    waveform: NDArray[np.float32]
    rate: int
    stop_reason: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    recogniser, opinions, speakers = Recogniser(options.whisper), OpinionScores(), SpeakerEncoder()
    report: dict[str, Any] = {}
    for name in options.texts:
        texts = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()[: options.most]
        for voice, clips in _systems(options, texts):
            heard = list(clips)
            row = _measure(heard, recogniser, opinions)
            reference = options.references and options.references / f"{voice}.wav"
            if reference and reference.exists():
                row["similarity"] = _similarity(heard, speakers, reference)
            report[f"{name}/{voice}"] = row
            print(f"{name:8} {voice:10}", _line(row), flush=True)
    print(json.dumps(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--whisper", type=Path, required=True, help="folder of a Whisper model")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--texts", nargs="+", default=["natural", "names"])
    parser.add_argument("--voices", nargs="+", help="presets [all of the model]")
    parser.add_argument("--clips", type=Path, help="recordings to measure instead of a model")
    parser.add_argument("--references", type=Path, help="folder of VOICE.wav")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--most", type=int, default=None, help="texts of each list")
    return parser


def _systems(
    options: argparse.Namespace, texts: Sequence[str]
) -> Iterator[tuple[str, Iterator[_Clip]]]:
    if options.clips:
        yield options.clips.name, _recorded(options.clips, texts)
        return
    bark = Bark.load(options.model, **({"dtype": options.dtype} if options.dtype else {}))
    for voice in options.voices or sorted(bark.voices):
        yield voice, _spoken(bark, voice, texts, options.seed)


def _recorded(folder: Path, texts: Sequence[str]) -> Iterator[_Clip]:
    paths = sorted(p for p in folder.iterdir() if p.suffix in {".wav", ".flac", ".ogg", ".opus"})
    for path, text in zip(paths, texts, strict=False):
        yield _Clip(text, *read_audio(path), "recording")


def _spoken(bark: Bark, voice: str, texts: Sequence[str], seed: int) -> Iterator[_Clip]:
    for text in texts:
        clip = bark.generate(text, voice=voice, seed=seed)
        yield _Clip(text, clip.waveform, clip.sample_rate, clip.stop_reason)


def _measure(
    clips: Sequence[_Clip], recogniser: Recogniser, opinions: OpinionScores
) -> dict[str, Any]:
    import jiwer

    said = [" ".join(plain_words(clip.text)) for clip in clips]
    heard = [" ".join(plain_words(recogniser(clip.waveform, clip.rate))) or "-" for clip in clips]
    scores = [opinions(clip.waveform, clip.rate) for clip in clips]

    return {
        "clips": len(clips),
        "word_errors": float(jiwer.wer(said, heard)),
        "overall": float(np.mean([score.overall for score in scores])),
        "signal": float(np.mean([score.signal for score in scores])),
        "seconds": float(np.sum([len(c.waveform) / c.rate for c in clips])),
        "limits": sum(clip.stop_reason not in ("eos", "recording") for clip in clips),
    }


def _similarity(clips: Sequence[_Clip], speakers: SpeakerEncoder, reference: Path) -> float:
    target = speakers(*read_audio(reference))
    return float(np.mean([speakers(clip.waveform, clip.rate) @ target for clip in clips]))


def _line(row: dict[str, Any]) -> str:
    similar = f", similarity {row['similarity']:.2f}" if "similarity" in row else ""
    return (
        f"{row['clips']} clips, word errors {100 * row['word_errors']:.1f} %, DNSMOS overall "
        f"{row['overall']:.2f}, signal {row['signal']:.2f}, {row['limits']} stopped at a limit{similar}"
    )


if __name__ == "__main__":
    main()

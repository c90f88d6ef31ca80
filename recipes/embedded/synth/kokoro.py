"""The labelled teacher: Kokoro-82M (Apache-2.0) with the length of every phoneme and the pitch.

The ONNX graph computes both on the way to the waveform. Two inner tensors become outputs: frames of 25 ms for each
phoneme, and F0 in Hz at 80 values a second. The half of the graph that ends there needs no vocoder and is about 25
times as fast, so that texts for the semantic stage are labelled without sound. Weighted means of voices are new
speakers. Needs onnx and onnxruntime (the `teacher` extra); nothing of it is needed to speak.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.errors import MissingExtraError, TrainingError
from recipes.embedded.synth.phonemes import Accent, Phonemizer

SAMPLE_RATE = 24_000
FRAME_SAMPLES = 600
"""Samples per duration frame: 25 ms."""
F0_RATE = 80
"""Pitch values a second."""

_DURATIONS = "/encoder/Round_output_0"
_F0 = "/encoder/F0_proj/Conv_output_0"
_INPUTS = ("tokens", "style", "speed")
_EDGE_TOKEN = 0
_STYLE_ROWS, _STYLE_WIDTH = 510, 256
# Shorter phoneme strings make the model stumble, longer ones exceed a sentence of the embedded model.
_FEWEST, _MOST = 3, 200


@dataclass(frozen=True)
class KokoroLine:
    """What the teacher says of one text.

    Attributes:
        phonemes: one character per phoneme, P of them.
        durations: uint8 [P + 2], frames of 25 ms; the first and the last belong to the edges.
        f0: float16 [2 * sum(durations)], Hz; 40 and less is unvoiced.
        waveform: float32 [600 * sum(durations)], or None when only labels were asked for.
    """

    phonemes: str
    durations: NDArray[np.uint8]
    f0: NDArray[np.float16]
    waveform: NDArray[np.float32] | None


class KokoroTeacher:
    """Speaks or labels English text in any weighted mean of the voices in a folder.

    Args:
        model: `kokoro-v1.0*.onnx`.
        vocabulary: the model's `vocab.json`.
        voices: folder of `NAME.bin`, float32 [510, 256]; the first letter of a name is its language.
        with_audio: compute waveforms too.
    """

    def __init__(self, model: Path, vocabulary: Path, voices: Path, *, with_audio: bool) -> None:
        self._ids: dict[str, int] = json.loads(vocabulary.read_text(encoding="utf-8"))["vocab"]
        self._styles = {
            path.stem: np.fromfile(path, np.float32).reshape(_STYLE_ROWS, _STYLE_WIDTH)
            for path in sorted(voices.glob("*.bin"))
        }
        if not self._styles:
            raise TrainingError(f"{voices} has no voices (*.bin); give Kokoro's folder of voices")
        self._with_audio = with_audio
        self._session = _session(model, with_audio=with_audio)
        self._phonemizer = Phonemizer(frozenset(self._ids))

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of all voices."""
        return tuple(self._styles)

    def line(self, text: str, mix: Mapping[str, float]) -> KokoroLine | None:
        """Label `text` in a mean of voices with weights `mix`; None if it is too short or too long for the model.

        Raises:
            TrainingError: a voice that does not exist.
        """
        unknown = sorted(set(mix) - set(self._styles))
        if unknown or not mix:
            raise TrainingError(
                f"voices {unknown} do not exist; allowed: {', '.join(self._styles)}"
            )
        phonemes = self._phonemizer(text, accent_of(mix))
        if not _FEWEST <= len(phonemes) <= _MOST:
            return None
        tokens = [_EDGE_TOKEN, *(self._ids[p] for p in phonemes), _EDGE_TOKEN]
        row = min(len(phonemes), _STYLE_ROWS) - 1
        style = sum(weight * self._styles[name][row] for name, weight in mix.items())
        outputs = self._session.run(
            None,
            {
                "tokens": np.array([tokens], np.int64),
                "style": np.asarray(style, np.float32)[None],
                "speed": np.ones(1, np.float32),
            },
        )
        durations = outputs[-2].ravel().round().astype(np.uint8)
        f0 = np.clip(outputs[-1].ravel(), 0, 1000).astype(np.float16)
        waveform = outputs[0].ravel() if self._with_audio else None
        if waveform is not None and not np.isfinite(waveform).all():
            return None
        return KokoroLine(phonemes, durations, f0, waveform)


def accent_of(mix: Mapping[str, float]) -> Accent:
    """The accent of the heaviest voice: names that begin with b are British, all others read American."""
    return "british" if max(mix, key=lambda name: mix[name]).startswith("b") else "american"


def _session(model: Path, *, with_audio: bool) -> Any:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "the teacher needs onnx and onnxruntime; install them with: pip install 'openbark[teacher]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not with_audio:
        with tempfile.TemporaryDirectory() as folder:
            half = Path(folder) / "encoder.onnx"
            onnx.utils.extract_model(str(model), str(half), list(_INPUTS), [_DURATIONS, _F0])
            return onnxruntime.InferenceSession(half.read_bytes(), options)
    graph = onnx.load(str(model))
    for name in (_DURATIONS, _F0):
        kind = onnx.TensorProto.FLOAT
        graph.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    return onnxruntime.InferenceSession(graph.SerializeToString(), options)

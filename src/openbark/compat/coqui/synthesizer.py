"""`TTS.utils.synthesizer.Synthesizer` and `TTS.utils.manage.ModelManager`, as far as scripts use them (docs/parity.md C31, C33, C34)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from openbark.audio import check_output
from openbark.compat.coqui.config import MODEL_NAME, BarkConfig
from openbark.compat.coqui.model import Bark, Folders
from openbark.compat.coqui.sentences import split_sentences as _split
from openbark.compat.coqui.speech_options import SpeechOptions
from openbark.compat.coqui.wav_file import save_normalized
from openbark.errors import AudioError, CheckpointUnsupportedError, ParamError, TextError
from openbark.text.tokenizer import squeeze

_LOG = logging.getLogger(__name__)

PAUSE_SAMPLES = 10_000
"""Zero samples after each sentence, the last included (C31)."""


class Synthesizer:
    """Speaks texts sentence by sentence, and writes files."""

    vocoder_model = None
    vocoder_config = None
    vc_model = None
    tts_speakers_file = ""
    tts_languages_file = ""

    def __init__(self, tts_model: Bark, tts_config: BarkConfig) -> None:
        """Around a loaded model and its config."""
        self.tts_model = tts_model
        self.tts_config = tts_config

    @property
    def output_sample_rate(self) -> int:
        """Samples per second of what `tts` returns."""
        return self.tts_model.bark.sample_rate

    @property
    def use_cuda(self) -> bool:
        """Whether the model computes on a CUDA device."""
        return self.tts_model.device.startswith("cuda")

    @property
    def tts_checkpoint(self) -> str:
        """Where the model was loaded from."""
        return self.tts_model.source

    def split_into_sentences(self, text: str) -> list[str]:
        """The sentences that `tts` speaks one by one."""
        return _split(squeeze(_text(text)))

    def tts(
        self,
        text: str,
        speaker_name: str | None = None,
        language_name: str | None = None,
        speaker_wav: Any = None,
        *,
        emotion: str | None = None,
        speed: float | None = None,
        split_sentences: bool = True,
        voice_dir: Folders = None,
        **options: Any,
    ) -> list[float]:
        """Samples of `text`, with a pause after each sentence (C31); options: those of `SpeechOptions`.

        Raises TextError, VoiceError (C32), ParamError for a language.
        """
        settings = SpeechOptions(**options)
        if language_name:
            raise ParamError(
                f"language is {language_name!r}; allowed: None, Bark takes the language from the text"
            )
        if (emotion, speed) != (None, None):
            _LOG.warning("emotion and speed change nothing with Bark")
        words = squeeze(_text(text))
        voice = self.tts_model.find_voice(speaker_name, voice_dir, speaker_wav)
        pause = np.zeros(PAUSE_SAMPLES, dtype=np.float32)
        parts: list[NDArray[np.float32]] = []
        for sentence in _split(words) if split_sentences else [words]:
            waveform, _ = self.tts_model.speak(sentence, voice, settings)
            parts += [waveform, pause]
        if not parts:
            raise TextError("the text is empty; give at least one word")
        samples: list[float] = np.concatenate(parts).tolist()
        return samples

    def save_wav(
        self,
        wav: Sequence[float] | NDArray[np.floating] | Any,
        path: str | os.PathLike[str],
        pipe_out: TextIO | None = None,
    ) -> None:
        """Write samples [L], also as a torch tensor: 16 bits, the loudest at full scale (C33); to `pipe_out`
        too. Raises AudioError."""
        target = Path(path).expanduser()
        check_output(target)
        if wav is None:
            raise AudioError("wav is missing; give what tts() returns")
        try:
            samples = np.asarray(wav.cpu() if hasattr(wav, "cpu") else wav, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise AudioError(f"wav cannot be read as samples: {error}") from error
        samples = np.atleast_1d(samples.squeeze())
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise AudioError(
                f"wav has the shape {list(samples.shape)}; allowed: one channel of finite samples"
            )
        save_normalized(target, samples, self.output_sample_rate, pipe_out)


class ModelNames(list[str]):
    """Names of models, with the questions that scripts ask of Coqui's manager."""

    def list_models(self) -> list[str]:
        """All names."""
        return list(self)

    def list_tts_models(self) -> list[str]:
        """Names of models that speak: all."""
        return list(self)

    def list_vocoder_models(self) -> list[str]:
        """None of those."""
        return []

    def list_vc_models(self) -> list[str]:
        """None of those."""
        return []

    def list_langs(self) -> list[str]:
        """The kind of languages that the names have."""
        return [MODEL_NAME.split("/")[1]]

    def list_datasets(self) -> list[str]:
        """The kind of data sets that the names have."""
        return [MODEL_NAME.split("/")[2]]

    def download_model(self, model_name: str) -> None:
        """Raises CheckpointUnsupportedError: nothing is downloaded unasked."""
        raise CheckpointUnsupportedError(
            f"{model_name!r} is not downloaded here; fetch a Bark with: openbark models download suno/bark"
        )


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TextError(f"the text is a {type(text).__name__}; allowed: a str")
    return text

"""`TTS.api.TTS` for the one model of it that is here, Bark (C30-C33)."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from openbark.audio import check_output
from openbark.compat.coqui.config import BarkConfig, data_folder
from openbark.compat.coqui.model import Bark, Folders
from openbark.compat.coqui.sentences import split_sentences as _split
from openbark.compat.coqui.wav_file import save_normalized
from openbark.compat.suno.model_cache import choose_device
from openbark.errors import CheckpointUnsupportedError, ParamError
from openbark.text.tokenizer import squeeze
from openbark.voices.coqui import list_coqui_voices

__all__ = ["MODEL_NAME", "PAUSE_SAMPLES", "TTS"]

_LOG = logging.getLogger(__name__)

MODEL_NAME = "tts_models/multilingual/multi-dataset/bark"
"""Coqui's name of Bark."""

PAUSE_SAMPLES = 10_000
"""Zero samples after each sentence, the last included (C31)."""


class TTS:
    """Coqui's front door. The model is loaded when the object is made."""

    def __init__(
        self,
        model_name: str = MODEL_NAME,
        model_path: str | os.PathLike[str] | None = None,
        config_path: str | os.PathLike[str] | None = None,
        vocoder_path: str | os.PathLike[str] | None = None,
        vocoder_config_path: str | os.PathLike[str] | None = None,
        progress_bar: bool = True,
        gpu: bool = False,
    ) -> None:
        """model_path: a checkpoint folder instead of the model that is found (see `find_model`). gpu: use
        one where there is one (C30). Raises CheckpointUnsupportedError for any model but Bark, ParamError
        for a vocoder, CheckpointError, DeviceError."""
        if model_name not in (MODEL_NAME, "bark") and not (model_path and not model_name):
            raise CheckpointUnsupportedError(
                f"{model_name!r} is not here; this is Bark only: {MODEL_NAME}"
            )
        if vocoder_path is not None or vocoder_config_path is not None:
            raise ParamError("Bark has no vocoder; leave vocoder_path and vocoder_config_path out")
        self.model_name = MODEL_NAME
        self.config = BarkConfig()
        # Coqui's downloader keeps models in a folder named after them.
        home = str(data_folder() / MODEL_NAME.replace("/", "--"))
        self.model = Bark.init_from_config(self.config)
        self.model.device = choose_device(gpu)
        self._progress_bar = progress_bar
        if model_path is None:
            self.config.CACHE_DIR = home if Path(home).is_dir() else self.config.CACHE_DIR
            self.model.load_bark_models()
        else:
            self.model.load_checkpoint(self.config, model_path)

    def to(self, device: Any) -> TTS:
        """Compute on `device` from now on (C30). Raises DeviceError."""
        self.model.to(device)
        return self

    @staticmethod
    def list_models() -> list[str]:
        """Names of the models that are here."""
        return [MODEL_NAME]

    @property
    def models(self) -> list[str]:
        """As `list_models`."""
        return self.list_models()

    @property
    def is_multi_speaker(self) -> bool:
        """Whether a speaker can be chosen: always (C32)."""
        return True

    @property
    def is_multi_lingual(self) -> bool:
        """Whether a language must be chosen: never, the text decides."""
        return False

    @property
    def speakers(self) -> list[str]:
        """Voices of DEF_SPEAKER_DIR and of the model (C32)."""
        folder = Path(self.config.DEF_SPEAKER_DIR)
        own = list_coqui_voices(folder) if folder.is_dir() else []
        return sorted({*own, *self.model.bark.voices})

    @property
    def languages(self) -> None:
        """None: there is no language to choose."""
        return

    def tts(
        self,
        text: str,
        speaker: str | None = None,
        language: str | None = None,
        speaker_wav: Any = None,
        emotion: str | None = None,
        speed: float | None = None,
        split_sentences: bool = True,
        *,
        voice_dir: Folders = None,
        text_temp: float = 0.7,
        waveform_temp: float = 0.7,
        top_k: int | None = None,
        top_p: float | None = None,
        min_eos_p: float | None = 0.2,
        max_gen_duration_s: float | None = None,
        allow_early_stop: bool = True,
    ) -> list[float]:
        """Samples of `text` at 24 kHz, spoken sentence by sentence with a pause after each (C31). `emotion`
        and `speed` change nothing, as upstream.

        Raises TextError, VoiceError (C32), ParamError for a language.
        """
        if language is not None:
            raise ParamError(
                f"language is {language!r}; Bark has none to choose, so leave it out: the text decides"
            )
        if (emotion, speed) != (None, None):
            _LOG.warning("emotion and speed change nothing with Bark")
        # Once, before the first sentence: a voice that is not there costs no speech.
        self.model.find_voice(speaker, voice_dir, speaker_wav)
        words = squeeze(text)
        sentences = _split(words) if split_sentences else [words]
        pause = np.zeros(PAUSE_SAMPLES, dtype=np.float32)
        parts: list[NDArray[np.float32]] = []
        for sentence in sentences:
            made = self.model.synthesize(
                sentence,
                self.config,
                speaker=speaker,
                voice_dir=voice_dir,
                text_temp=text_temp,
                waveform_temp=waveform_temp,
                top_k=top_k,
                top_p=top_p,
                silent=not self._progress_bar,
                min_eos_p=min_eos_p,
                max_gen_duration_s=max_gen_duration_s,
                allow_early_stop=allow_early_stop,
            )
            parts += [made["wav"], pause]
        samples: list[float] = np.concatenate(parts).tolist()
        return samples

    def tts_to_file(
        self,
        text: str,
        speaker: str | None = None,
        language: str | None = None,
        speaker_wav: Any = None,
        emotion: str | None = None,
        speed: float | None = None,
        pipe_out: TextIO | None = None,
        file_path: str | os.PathLike[str] = "output.wav",
        split_sentences: bool = True,
        *,
        voice_dir: Folders = None,
        text_temp: float = 0.7,
        waveform_temp: float = 0.7,
        top_k: int | None = None,
        top_p: float | None = None,
        min_eos_p: float | None = 0.2,
        max_gen_duration_s: float | None = None,
        allow_early_stop: bool = True,
    ) -> str:
        """As `tts`, into a file: 16 bits, the loudest sample at full scale (C33); to `pipe_out` too.
        Returns the path. Raises AudioError besides."""
        target = Path(file_path)
        check_output(target)
        samples = self.tts(
            text,
            speaker,
            language,
            speaker_wav,
            emotion,
            speed,
            split_sentences,
            voice_dir=voice_dir,
            text_temp=text_temp,
            waveform_temp=waveform_temp,
            top_k=top_k,
            top_p=top_p,
            min_eos_p=min_eos_p,
            max_gen_duration_s=max_gen_duration_s,
            allow_early_stop=allow_early_stop,
        )
        save_normalized(target, samples, self.model.bark.sample_rate, pipe_out)
        return str(file_path)

    def voice_conversion(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        raise CheckpointUnsupportedError("voice conversion is done by other models than Bark")

    def tts_with_vc(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        self.voice_conversion()

"""`TTS.api.TTS` for the one model of it that is here, Bark (docs/parity.md C30-C33)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from openbark.audio import check_output
from openbark.compat.coqui.config import MODEL_NAME, BarkConfig, model_folders
from openbark.compat.coqui.model import Bark, Folders
from openbark.compat.coqui.synthesizer import ModelNames, Synthesizer
from openbark.compat.suno.model_cache import choose_device
from openbark.errors import CheckpointUnsupportedError, ParamError


class TTS:
    """Coqui's entry point. The model is loaded when the object is made."""

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
        downloaded = model_folders()[0]
        self.model = Bark.init_from_config(self.config)
        self.model.device = choose_device(gpu)
        self._progress_bar = progress_bar
        if model_path is None:
            if downloaded.is_dir():
                self.config.CACHE_DIR = str(downloaded)
            self.model.load_bark_models()
        else:
            self.model.load_checkpoint(self.config, model_path)
        self._synthesizer = Synthesizer(self.model, self.config)

    @property
    def synthesizer(self) -> Synthesizer:
        """What scripts take sample rate, model and `save_wav` from."""
        return self._synthesizer

    def to(self, device: Any) -> TTS:
        """Compute on `device` from now on (C30). Raises DeviceError."""
        self.model.to(device)
        return self

    def cuda(self, device: Any = None) -> TTS:
        """As `to("cuda")`. Raises DeviceError without one."""
        return self.to(
            "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        )

    def cpu(self) -> TTS:
        """As `to("cpu")`."""
        return self.to("cpu")

    def eval(self) -> TTS:
        """Nothing to do: models here only infer."""
        return self

    @staticmethod
    def list_models() -> ModelNames:
        """Names of the models that are here: a list, and upstream's manager of models."""
        return ModelNames([MODEL_NAME])

    @property
    def manager(self) -> ModelNames:
        """As `list_models`."""
        return self.list_models()

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
        return self.model.speakers()

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
        **options: Any,
    ) -> list[float]:
        """Samples of `text` at 24 kHz, spoken sentence by sentence with a pause after each (C31). `emotion`
        and `speed` change nothing, as upstream; options: those of `SpeechOptions`.

        Raises TextError, VoiceError (C32), ParamError for a language.
        """
        return self._synthesizer.tts(
            text,
            speaker,
            language,
            speaker_wav,
            emotion=emotion,
            speed=speed,
            split_sentences=split_sentences,
            voice_dir=voice_dir,
            **self._quiet(options),
        )

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
        **options: Any,
    ) -> str:
        """As `tts`, into a file: 16 bits, the loudest sample at full scale (C33); to `pipe_out` too.
        Returns the path. Raises AudioError besides."""
        target = Path(file_path).expanduser()
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
            **options,
        )
        self._synthesizer.save_wav(samples, target, pipe_out)
        return str(file_path)

    def _quiet(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"silent": not self._progress_bar, **options}

    def voice_conversion(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        raise CheckpointUnsupportedError("voice conversion is done by other models than Bark")

    def voice_conversion_to_file(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        self.voice_conversion()

    def tts_with_vc_to_file(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        self.voice_conversion()

    def tts_with_vc(self, *_: Any) -> None:
        """Raises CheckpointUnsupportedError: another model's work (C36)."""
        self.voice_conversion()

"""`TTS.tts.models.bark.Bark` under Coqui's names, in both generations' forms of call (docs/parity.md C1-C10, C20, C21).

What is drawn comes from torch's generator where the script has torch, as with Coqui. Cloning is not here yet:
a voice that has to be cloned is an error that says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from openbark.api import Bark as _Bark
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint
from openbark.compat.coqui.config import BarkConfig
from openbark.compat.coqui.speech_options import TEMPERATURE, SpeechOptions
from openbark.compat.coqui.voice_folders import find_coqui_voice, list_coqui_voices, slug
from openbark.compat.suno.model import stage_networks
from openbark.compat.suno.model_cache import find_model
from openbark.compat.suno.stage_models import notify
from openbark.compat.suno.stage_runs import (
    run_coarse_stage,
    run_codec_stage,
    run_fine_stage,
    run_semantic_stage,
)
from openbark.errors import CheckpointNotFoundError, OpenBarkError, TrainingError, VoiceError
from openbark.types import Tokens, Waveform
from openbark.voices.npz import ARRAY_KEYS
from openbark.voices.voice import Voice

History = Sequence[Any] | None
"""Three arrays: semantic [T], coarse [2, F], fine [8, F]; or three times None, or None (C6)."""

Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
"""One voice folder, several, or none."""


_NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "semantic_model": "text",
        "coarse_model": "coarse",
        "fine_model": "fine",
        "encodec": "codec",
    }
)
"""Coqui's names of the networks, and Suno's of the stages."""


class Bark:
    """Coqui's model object around an `openbark.Bark`."""

    def __init__(self, config: BarkConfig, tokenizer: Any = None) -> None:
        """`tokenizer` is not looked at: the checkpoint brings its own (C1). Loads nothing."""
        self.config = config
        self.device = "cpu"
        self._bark: _Bark | None = None
        self._source: str | os.PathLike[str] = ""
        self._networks: dict[str, Any] = {}

    @classmethod
    def init_from_config(cls, config: BarkConfig) -> Bark:
        """As the constructor (C2)."""
        return cls(config)

    @property
    def bark(self) -> _Bark:
        """The loaded model. Raises CheckpointNotFoundError before `load_checkpoint`."""
        if self._bark is None:
            raise CheckpointNotFoundError(
                "no model is loaded; call load_checkpoint(config, checkpoint_dir=...) or "
                "load_bark_models() first"
            )
        return self._bark

    def load_bark_models(self) -> None:
        """Load the model that is found without a folder: OPENBARK_MODEL, Coqui's, Suno's or the hub's cache,
        else the model inside openbark (C2). Raises CheckpointError."""
        self._load(
            find_model(self.config.USE_SMALLER_MODELS, [Path(self.config.CACHE_DIR).expanduser()])
        )

    def load_checkpoint(
        self,
        config: BarkConfig,
        checkpoint_dir: str | os.PathLike[str],
        text_model_path: str | os.PathLike[str] | None = None,
        coarse_model_path: str | os.PathLike[str] | None = None,
        fine_model_path: str | os.PathLike[str] | None = None,
        hubert_model_path: str | os.PathLike[str] | None = None,
        hubert_tokenizer_path: str | os.PathLike[str] | None = None,
        eval: bool = False,
        strict: bool = True,
    ) -> None:
        """Load a checkpoint folder of any layout (C3). A model path names one file of the folder whose
        files of the same size are taken; no file is ever deleted or fetched. Raises CheckpointError."""
        self.config = config
        given = text_model_path or coarse_model_path or fine_model_path
        self._load(given or checkpoint_dir)

    def to(self, device: Any) -> Bark:
        """Compute on `device` from now on; a loaded model is loaded again there. Raises DeviceError."""
        name = str(device)
        if name != self.device:
            before, self.device = self.device, name
            try:
                if self._bark is not None:
                    self._load(self._source)
            except OpenBarkError:
                self.device = before
                raise
        return self

    def cuda(self, device: Any = None) -> Bark:
        """As `to("cuda")`. Raises DeviceError without one."""
        return self.to(
            "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        )

    def cpu(self) -> Bark:
        """As `to("cpu")`."""
        return self.to("cpu")

    @property
    def source(self) -> str:
        """Where the model was loaded from."""
        return os.fspath(self._source)

    def eval(self) -> Bark:
        """Nothing to do: models here only infer."""
        return self

    def synthesize(
        self,
        text: str,
        config: BarkConfig | None = None,
        speaker_id: str | None = None,
        voice_dirs: Folders = None,
        *,
        speaker: str | None = None,
        speaker_wav: Any = None,
        voice_dir: Folders = None,
        **options: Any,
    ) -> dict[str, Any]:
        """`{"wav": [L], "text_inputs": text}` (C4, C5). No speaker, or "random", lets the model choose.

        options: those of `SpeechOptions`. Raises VoiceError for a voice that is not there or has to be
        cloned, TextError, ParamError.
        """
        settings = SpeechOptions(**options)
        voice = self.find_voice(speaker or speaker_id, voice_dir or voice_dirs, speaker_wav)
        waveform, _ = self.speak(text, voice, settings)
        return {"wav": waveform, "text_inputs": text}

    def generate_audio(
        self,
        text: str,
        history_prompt: History = None,
        text_temp: float = TEMPERATURE,
        waveform_temp: float = TEMPERATURE,
        base: History = None,
        allow_early_stop: bool = True,
        **options: Any,
    ) -> tuple[Waveform, list[Tokens]]:
        """Waveform [L] and its [semantic, coarse, fine] tokens (C6); options: those of `SpeechOptions`.

        Raises TextError, VoiceError, ParamError.
        """
        settings = SpeechOptions(text_temp, waveform_temp, allow_early_stop, **options)
        return self.speak(text, self._history(history_prompt, base), settings)

    def text_to_semantic(
        self,
        text: str,
        history_prompt: History = None,
        temp: float = TEMPERATURE,
        base: History = None,
        allow_early_stop: bool = True,
        **options: Any,
    ) -> Tokens:
        """Semantic tokens [T] (C7); options: those of `SpeechOptions`. Raises TextError, VoiceError,
        ParamError."""
        settings = SpeechOptions(temp, allow_early_stop=allow_early_stop, **options)
        return self._semantic(text, self._history(history_prompt, base), settings)

    def semantic_to_waveform(
        self,
        semantic_tokens: Any,
        history_prompt: History = None,
        temp: float = TEMPERATURE,
        base: History = None,
    ) -> tuple[Waveform, Tokens, Tokens]:
        """Waveform [L], coarse [2, F] and fine codes [8, F] (C7). Raises TextError, VoiceError, ParamError."""
        voice = self._history(history_prompt, base)
        return self._waveform(semantic_tokens, voice, SpeechOptions(waveform_temp=temp))

    def speak(
        self, text: str, voice: Voice | None, settings: SpeechOptions
    ) -> tuple[Waveform, list[Tokens]]:
        """What every call above comes to: waveform [L] and [semantic, coarse, fine] tokens.

        Raises TextError, ParamError.
        """
        semantic = self._semantic(text, voice, settings)
        waveform, coarse, fine = self._waveform(semantic, voice, settings)
        return waveform, [semantic, coarse, fine]

    def find_voice(
        self, speaker: str | None, folders: Folders = None, speaker_wav: Any = None
    ) -> Voice | None:
        """The voice of a speaker: from the voice folders, from DEF_SPEAKER_DIR, or a voice of the model
        (C20, C21). None for "random". Raises VoiceError."""
        if speaker_wav:
            raise _cloning("speaker_wav")
        if speaker is None or speaker == "random":
            return None
        places = _paths(folders)
        own = [Path(self.config.DEF_SPEAKER_DIR).expanduser(), self._voices_of_the_model()]
        places += [place for place in own if place.is_dir()]
        for place in places:
            names = list_coqui_voices(place)
            if speaker in names or slug(speaker) in names:
                return self.bark.find_voice(find_coqui_voice(place, speaker))
        if places and speaker not in self.bark.voices:
            find_coqui_voice(places[0], speaker)
        return self.bark.find_voice(self.bark.voices.get(speaker))

    def speakers(self) -> list[str]:
        """Voices of DEF_SPEAKER_DIR, of the model's folder, and those that the model knows by name (C32)."""
        default, own = Path(self.config.DEF_SPEAKER_DIR).expanduser(), self._voices_of_the_model()
        found = list_coqui_voices(default) if default.is_dir() else []
        found += list_coqui_voices(own, sub_folders=False) if own.is_dir() else []
        return sorted({*found, *self.bark.voices})

    def get_voices(self, voice_dir: str | os.PathLike[str]) -> dict[str, Path]:
        """Names and files or folders of the voices in a folder (C8). Raises VoiceError."""
        folder = Path(voice_dir).expanduser()
        names = list_coqui_voices(folder)
        places = {path.stem if path.is_file() else path.name: path for path in folder.iterdir()}
        return {name: places[name] for name in names}

    def load_voice_file(
        self, speaker_id: str, voice_dir: str | os.PathLike[str]
    ) -> dict[str, Tokens]:
        """The three arrays of a voice under Suno's keys (C8). Raises VoiceError."""
        voice = find_coqui_voice(Path(voice_dir).expanduser(), speaker_id)
        return {key: getattr(voice, field) for field, key in ARRAY_KEYS.items()}

    def generate_voice(self, audio: Any, speaker_id: str, voice_dir: Any) -> None:
        """Raises VoiceError: cloning arrives with a later version (C8)."""
        raise _cloning(f"generate_voice for {speaker_id!r}")

    def clone_voice(self, speaker_wav: Any, speaker_id: str | None, voice_dir: Any) -> None:
        """Raises VoiceError: cloning arrives with a later version (C8)."""
        raise _cloning(f"clone_voice for {speaker_id!r}")

    def train_step(self, *_: Any) -> None:
        """Raises TrainingError; upstream does nothing (C9)."""
        raise TrainingError("Coqui's trainer does not train Bark; use: openbark train")

    def eval_step(self, *_: Any) -> None:
        """Raises TrainingError; upstream does nothing (C9)."""
        self.train_step()

    def forward(self, *_: Any) -> None:
        """Raises TrainingError; upstream does nothing (C9)."""
        self.train_step()

    def inference(self, *_: Any) -> None:
        """Raises TrainingError; upstream does nothing (C9). `synthesize` is what speaks."""
        self.train_step()

    def __getattr__(self, name: str) -> Any:
        """`semantic_model`, `coarse_model`, `fine_model` and `encodec` are torch networks; once a script has asked
        for one, the model computes with them. Raises MissingExtraError without torch."""
        stage = _NETWORKS.get(name)
        if stage is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        if not self._networks:
            modules, old = stage_networks(stage), self.bark
            checkpoint = ready_checkpoint(open_checkpoint(find_checkpoint(self._source)), notify)
            self._networks = {
                each: modules.read_stage(checkpoint, each, self.device)
                for each in _NETWORKS.values()
            }
            backend = modules.whole_backend(self._networks, old.config)
            self._bark = _Bark(backend, old.tokenizer, old.default_params, old.voices)
        return self._networks[stage]

    def parameters(self) -> Iterator[Any]:
        """The weights of the four networks. Raises MissingExtraError without torch."""
        for name in _NETWORKS:
            yield from getattr(self, name).parameters()

    def _load(self, source: str | os.PathLike[str]) -> None:
        self._bark = _Bark.load(source, self.device, "float32")
        self._source = source
        self._networks = {}

    def _voices_of_the_model(self) -> Path:
        """Where Coqui 0.27 keeps voices unless told otherwise (C21)."""
        source = Path(self._source)
        return (source.parent if source.is_file() else source) / "voices"

    def _semantic(self, text: str, voice: Voice | None, settings: SpeechOptions) -> Tokens:
        return run_semantic_stage(
            self.bark,
            self.device,
            text,
            voice,
            settings.semantic(self.bark.default_params),
            settings.max_gen_duration_s,
            settings.allow_early_stop,
            settings.silent,
        )

    def _waveform(
        self, semantic_tokens: Any, voice: Voice | None, settings: SpeechOptions
    ) -> tuple[Waveform, Tokens, Tokens]:
        rules, own = self.bark.config.coarse_rules, self.bark.default_params
        windows = (rules.max_history, rules.sliding_window)
        coarse = run_coarse_stage(
            self.bark,
            self.device,
            semantic_tokens,
            voice,
            settings.coarse(own),
            windows,
            silent=True,
        )
        fine = run_fine_stage(
            self.bark, self.device, coarse, voice, settings.fine(own), silent=True
        )
        return run_codec_stage(self.bark, fine), coarse, fine

    def _history(self, history_prompt: History, base: History) -> Voice | None:
        """`base` stands before `history_prompt`, array by array (C10)."""
        own = (None, None, None) if history_prompt is None else tuple(history_prompt)
        over = own if base is None else tuple(base)
        if len(own) != len(ARRAY_KEYS) or len(over) != len(ARRAY_KEYS):
            raise VoiceError(
                f"a history is three arrays (semantic, coarse, fine), not {len(own)} and {len(over)}"
            )
        used = [second if first is None else first for first, second in zip(over, own, strict=True)]
        if all(array is None for array in used):
            return None
        pairs = zip(ARRAY_KEYS.values(), used, strict=True)
        arrays = {key: np.asarray(array) for key, array in pairs if array is not None}
        return self.bark.find_voice(Voice.from_arrays(arrays))


def _cloning(what: str) -> VoiceError:
    return VoiceError(
        f"{what} asks for cloning, which this version does not do; put an .npz or .pth voice into the "
        "voice folder and name it as the speaker"
    )


def _paths(folders: Folders) -> list[Path]:
    if folders is None:
        return []
    if isinstance(folders, (str, os.PathLike)):
        return [Path(folders).expanduser()]
    return [Path(folder).expanduser() for folder in folders]

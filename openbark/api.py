"""The front door: load a Bark, generate clips. Thin over `openbark.engine`.

Knows no command line, and no backend until a model is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from openbark.assets import EMBEDDED_NAME, embedded_directory
from openbark.backends.base import Backend
from openbark.backends.select import load_backend
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.fingerprint import fingerprint
from openbark.checkpoints.hub import HubAccess, download, is_hub_id
from openbark.config import BarkConfig
from openbark.engine.cascade import run
from openbark.engine.engine import Engine
from openbark.engine.longform_options import LongFormOptions
from openbark.engine.plan import fits, plan_script, plan_text
from openbark.engine.request import Cancel, Progress, Request, Tokens, Waveform
from openbark.engine.scoring import Scorer
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    ParamError,
    VoiceError,
)
from openbark.narration import Narration
from openbark.params import GenerationParams, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin
from openbark.stages.coarse import CoarseWindow, with_coarse_window
from openbark.text.normalize import normalize
from openbark.text.script import parse_script, script_format
from openbark.text.script_items import Speech
from openbark.text.tokenizer import Tokenizer, squeeze
from openbark.voices.folders import library_of
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = ["Bark", "VoiceLike", "find_checkpoint"]

VoiceLike = str | os.PathLike[str] | Voice | Mapping[str, Any]
"""A name, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays (S39)."""


def find_checkpoint(
    path: str | os.PathLike[str] | None = None, access: HubAccess | None = None
) -> Path:
    """The folder (or Suno file) that a user's model names: None or "embedded" is the one inside the
    package; a text OWNER/NAME that is no folder here is a model on the hub, fetched as `access` says unless
    it is cached. A subfolder counts for folders too.

    Raises CheckpointNotFoundError saying what was looked for, or another CheckpointError of the download.
    """
    if path is None or path == EMBEDDED_NAME:
        return embedded_directory()
    access = access or HubAccess()
    folder = Path(path).expanduser()
    if folder.exists():
        return folder / access.subfolder
    if isinstance(path, str) and is_hub_id(path):
        return download(path, _tell, access)
    raise CheckpointNotFoundError(
        f"no checkpoint folder at {folder}; give the path of a folder, {EMBEDDED_NAME!r} for the model "
        "inside the package, or the name of a model on the hub such as 'suno/bark-small'"
    )


def _public_source(path: str | os.PathLike[str] | None) -> str | None:
    """A model's name where it means the same on every machine; a user's folders are nobody else's business."""
    if path is None or path == EMBEDDED_NAME:
        return EMBEDDED_NAME
    if isinstance(path, str) and is_hub_id(path) and not Path(path).expanduser().exists():
        return path
    return None


def _tell(line: str) -> None:
    """What takes minutes or gigabytes is said before it starts."""
    print(line, file=sys.stderr, flush=True)


class Bark:
    """A loaded Bark: text in, clips out."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        default_params: GenerationParams | None = None,
        voices: VoiceLibrary | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        """Put a Bark together from its parts; `Bark.load` does it from a folder. origin: told by every clip."""
        self.backend = backend
        self.tokenizer = tokenizer
        self.default_params = GenerationParams().resolve(default_params or GenerationParams())
        self.voices = VoiceLibrary() if voices is None else voices
        self.origin = origin or ModelOrigin()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        threads: int | None = None,
        backend: str | None = None,
        coarse_window: CoarseWindow | None = None,
    ) -> Bark:
        """Load a checkpoint folder, Suno's `.pt` files, a hub's OWNER/NAME, or the embedded model for None.

        Pickled weights are read without running anything and copied to our cache as safetensors, once.

        device: "cpu" (default), "cuda", ...; dtype: "float32" (default), "bfloat16", on the CPU engine also
        "int8" and "int4", on torch "float64"; threads: CPU threads, None takes all cores.
        backend: "native" is the compiled CPU engine, "torch" is PyTorch; "auto" (default) takes the engine
        where it can. coarse_window: "stock" (default) is the checkpoint's own; "wide" computes far fewer
        windows and draws other tokens (see `stages.coarse.with_coarse_window`).
        Raises CheckpointError, DeviceError, ParamError, or MissingExtraError when neither is installed.
        """
        if threads is not None and (isinstance(threads, bool) or threads < 1):
            raise ParamError(f"threads is {threads}; legal: a whole number from 1, or None")
        checkpoint = ready_checkpoint(open_checkpoint(find_checkpoint(path)), _tell)
        config = with_coarse_window(checkpoint.config, coarse_window)
        checkpoint = replace(checkpoint, config=config)
        tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
        loaded = load_backend(checkpoint, backend, device, dtype, threads)
        origin = ModelOrigin(
            source=_public_source(path),
            fingerprint=fingerprint(checkpoint),
            backend=loaded.description.partition(" ")[0],
            device=device or "cpu",
            dtype=dtype or "float32",
            coarse_window=coarse_window,
        )
        return cls(
            backend=loaded,
            tokenizer=tokenizer,
            default_params=checkpoint.defaults,
            voices=library_of(checkpoint.directory),
            origin=origin,
        )

    @cached_property
    def engine(self) -> Engine:
        """Where pieces of long texts run, several at a time."""
        return Engine(self.backend)

    @property
    def config(self) -> BarkConfig:
        """Sizes and rules of the model."""
        return self.backend.config

    @property
    def sample_rate(self) -> int:
        """Samples per second of every clip."""
        return self.config.sample_rate

    def generate(
        self,
        text: str,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
    ) -> Clip:
        """Speak `text`, of any length: what fits one request is one, longer text is spoken in pieces.

        voice: a name of `voices`, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays;
        None lets the model choose. seed: same seed, same clip; None draws one, reported in the clip.
        params: of each request; what is left open takes `default_params`. progress, cancel: see
        `engine.request`; of pieces progress tells the stage "speech".
        options: how pieces are cut, joined, and made again; given, they also hold for text that fits.
        scorer: judges attempts at pieces, `engine.scoring.DefaultScorer` for None.
        Raises TextError, VoiceError, ParamError or CancelledError.
        """
        if options is not None or not self._is_one_request(text):
            narration = self._narration(
                text, voice, seed, params, options, scorer, progress, cancel
            )
            return narration.clip(self.engine)
        used_seed = check_seed(seed)
        used_params = (params or GenerationParams()).resolve(self.default_params)
        used_voice = self.find_voice(voice)
        normalized = self.normalize(text)
        request = Request(
            text_tokens=self._encode(normalized),
            params=used_params,
            seed=used_seed,
            voice=used_voice,
            cancel=cancel,
            progress=progress,
        )
        result = run(self.backend, request)
        return Clip(
            waveform=result.waveform,
            sample_rate=self.sample_rate,
            tokens=ClipTokens(result.semantic, result.coarse, result.fine),
            seed=used_seed,
            stop_reason=result.stop_reason,
            timings=result.timings,
            text=text,
            normalized_text=normalized,
            n_text_tokens=result.n_text_tokens,
            voice=(used_voice.name or "unnamed") if used_voice else None,
            params=used_params,
            config=self.config,
            origin=self.origin,
            voice_digest=used_voice.digest if used_voice else None,
        )

    def stream(
        self,
        text: str,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
    ) -> Iterator[Waveform]:
        """Speak `text` and hand out float32 samples [L] piece by piece, while the next ones are made.

        Together they are the waveform of `generate` with the same arguments, sample for sample, and no more
        than `options.ahead` pieces are held. Leaving the loop early stops the work. Raises as `generate`.
        """
        if options is None and self._is_one_request(text):
            return iter([self.generate(text, voice, seed, params, None, cancel).waveform])
        narration = self._narration(text, voice, seed, params, options, scorer, None, cancel)
        self.engine.start()
        return narration.stream(self.engine)

    def generate_script(
        self,
        source: str,
        voice: VoiceLike | None = None,
        speakers: Mapping[str, VoiceLike | None] | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        format: str | None = None,
        markup: str = "error",
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
    ) -> Clip:
        """Speak a script: dialogue, pauses, other voices, SSML, or subtitles at their times.

        speakers: the names that may stand before a colon, each with its voice; `[voice:x]` and SSML's
        <voice name="x"> look here first, then in `voices`. voice: of everything else. format: a key of
        `text.script.SCRIPT_FORMATS`, None tells "ssml" from "text". markup: what nobody knows is refused
        ("error") or said as it is written ("speak"). The rest as `generate`. In the clip, `segments` say where
        each piece is in `source`, and how late a subtitle came.
        Raises TextError with its place, VoiceError, ParamError or CancelledError.
        """
        cast = {name: self.find_voice(each) for name, each in (speakers or {}).items()}
        default = self.find_voice(voice)
        used_options = options or LongFormOptions()

        def voice_of(speech: Speech) -> tuple[str | None, Voice | None]:
            name = speech.voice or speech.speaker
            if name is None:
                return None, default
            return name, cast[name] if name in cast else self.find_voice(name)

        items = parse_script(source, format, tuple(cast), markup)
        plan = plan_script(items, self._read, voice_of, self.config, used_options)
        script = {
            "format": script_format(source, format),
            "markup": markup,
            "speakers": {name: each.name if each else None for name, each in cast.items()},
        }
        return Narration(
            text=source,
            plan=plan,
            params=(params or GenerationParams()).resolve(self.default_params),
            seed=check_seed(seed),
            options=used_options,
            voice=default,
            scorer=scorer,
            cancel=cancel,
            progress=progress,
            origin=self.origin,
            recipe={"script": script},
        ).clip(self.engine)

    def _is_one_request(self, text: str) -> bool:
        # What is no string is refused where text is read.
        is_text = isinstance(text, str)
        return not is_text or fits(text, self._read, self.config, LongFormOptions())

    def _read(self, text: str) -> tuple[str, Tokens]:
        normalized = self.normalize(text)
        return normalized, self._encode(normalized)

    def _narration(
        self,
        text: str,
        voice: VoiceLike | None,
        seed: int | None,
        params: GenerationParams | None,
        options: LongFormOptions | None,
        scorer: Scorer | None,
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> Narration:
        used_voice = self.find_voice(voice)
        used_options = options or LongFormOptions()
        squeeze(text)
        return Narration(
            text=text,
            plan=plan_text(text, self._read, used_voice, self.config, used_options),
            params=(params or GenerationParams()).resolve(self.default_params),
            seed=check_seed(seed),
            options=used_options,
            voice=used_voice,
            scorer=scorer,
            cancel=cancel,
            progress=progress,
            origin=self.origin,
        )

    def normalize(self, text: str) -> str:
        """`text` as the model will read it. Raises TextError when it is empty or cannot be read."""
        return squeeze(normalize(squeeze(text), self.config.text_normalizer))

    def find_voice(self, voice: VoiceLike | None) -> Voice | None:
        """The voice that `generate` would use, checked against the model. Raises VoiceError."""
        if voice is None:
            return None
        if isinstance(voice, Voice):
            found = voice
        elif isinstance(voice, (str, os.PathLike)):
            found = self.voices.get(voice)
        elif isinstance(voice, Mapping):
            found = Voice.from_arrays(voice)
        else:
            raise VoiceError(
                f"a voice is a name, a path, a Voice or a dictionary of arrays, not "
                f"{type(voice).__name__}"
            )
        found.validate(self.config)
        return found

    def _encode(self, normalized: str) -> Tokens:
        tokens = self.tokenizer.encode(normalized)
        n_text_ids = (
            self.config.semantic.input_vocab_size - self.config.semantic_rules.text_encoding_offset
        )
        if len(tokens) and int(tokens.max()) >= n_text_ids:
            raise CheckpointCorruptError(
                f"the tokenizer made the id {int(tokens.max())}, {self.config.name} has room for "
                f"{n_text_ids}; its tokenizer.json and config.json belong to different models"
            )
        return tokens

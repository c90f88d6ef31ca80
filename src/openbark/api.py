"""The front door: load a Bark, generate clips. Thin over `openbark.engine`.

Knows no command line, and no backend until a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.batch import Many, batch_progress, refuse_lists, run_batch, spread
from openbark.engine.cascade import run
from openbark.engine.engine import Engine
from openbark.engine.longform_options import LongFormOptions
from openbark.engine.plan import fits
from openbark.engine.request import (
    Cancel,
    CascadeResult,
    Listen,
    Progress,
    Request,
    Tokens,
    Waveform,
)
from openbark.engine.scoring import Scorer
from openbark.errors import CheckpointCorruptError, ParamError, TextError, VoiceError
from openbark.keywords import offers_keywords
from openbark.loading import LoadOptions, load_model
from openbark.narration import Manner, Narration, Script, narrate_script, narrate_text
from openbark.params import GenerationParams, check_params, check_seed
from openbark.progress import progress_of
from openbark.result import Clip, ClipTokens, ModelOrigin
from openbark.stages.coarse import CoarseWindow
from openbark.text.normalize import normalize
from openbark.text.tokenizer import Tokenizer, squeeze
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = ["Bark", "VoiceLike"]

VoiceLike = str | os.PathLike[str] | Voice | Mapping[str, Any]
"""A name, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays (S39)."""


class Bark:
    """A loaded Bark: text in, clips out."""

    def __init__(
        self,
        backend: Backend | None = None,
        tokenizer: Tokenizer | None = None,
        default_params: GenerationParams | None = None,
        voices: VoiceLibrary | None = None,
        origin: ModelOrigin | None = None,
    ) -> None:
        """Put a Bark together from its parts, backend and tokenizer at least; use `Bark.load()` to load a model.

        origin: recorded in every clip. Raises ParamError without a backend or tokenizer.
        """
        if tokenizer is None or backend is None or isinstance(backend, (str, os.PathLike)):
            given = repr(os.fspath(backend)) if isinstance(backend, (str, os.PathLike)) else ""
            raise ParamError(
                f"Bark() is made of a loaded backend and tokenizer; to load a model use openbark.Bark.load({given})"
            )
        self.backend = backend
        self.tokenizer = tokenizer
        self.default_params = GenerationParams().resolve(default_params or GenerationParams())
        self.voices = VoiceLibrary() if voices is None else voices
        self.origin = origin or ModelOrigin()
        self._loaded_by: LoadOptions | None = None

    def __repr__(self) -> str:
        voices = f"{len(self.voices)} voice{'' if len(self.voices) == 1 else 's'}"
        return f"<Bark {self.config.name!r}: {self.backend.description}, {voices}, {self.sample_rate} Hz>"

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the model is loaded again there, in the same way."""
        if self._loaded_by is None:
            raise ParamError(
                "this Bark was put together from parts and cannot be pickled; one of Bark.load(...) can be"
            )
        state = {"default_params": self.default_params, "voices": self.voices}
        return type(self)._loaded, (self._loaded_by,), state

    @classmethod
    @offers_keywords
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

        device: "cpu" (default), "cuda", ...; threads: CPU threads, None takes all cores.
        dtype: "float32", "bfloat16", on the CPU engine "int8" and "int4", on torch "float64"; "auto" (default) is
        int8 where a large model on the CPU engine draws the same with it (docs/native.md), else float32.
        backend: "native" is the compiled engine, "torch" is PyTorch; "auto" (default) takes the engine where it
        can. coarse_window: "stock" (default) is the checkpoint's own; "wide" computes far fewer windows and draws
        other tokens (`stages.coarse.with_coarse_window`).
        Raises CheckpointError, DeviceError, ParamError, or MissingExtraError when neither is installed.
        """
        return cls._loaded(LoadOptions(path, device, dtype, threads, backend, coarse_window))

    @classmethod
    def _loaded(cls, options: LoadOptions) -> Bark:
        parts = load_model(options)
        bark = cls(parts.backend, parts.tokenizer, parts.default_params, parts.voices, parts.origin)
        bark._loaded_by = options
        return bark

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

    @overload
    def generate(
        self,
        text: str,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: Listen | None = None,
    ) -> Clip: ...

    @overload
    def generate(
        self,
        text: Many[str],
        voice: VoiceLike | Many[VoiceLike | None] | None = None,
        seed: int | Many[int | None] | None = None,
        params: GenerationParams | Many[GenerationParams | None] | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
    ) -> list[Clip]: ...

    @offers_keywords
    def generate(
        self,
        text: str | Many[str],
        voice: VoiceLike | Many[VoiceLike | None] | None = None,
        seed: int | Many[int | None] | None = None,
        params: GenerationParams | Many[GenerationParams | None] | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: Listen | None = None,
    ) -> Clip | list[Clip]:
        """Speak `text`, of any length: what fits one request is one, longer text is spoken in pieces.
        A list of texts becomes a list of clips, made together: each is what it would be alone, to the token.

        voice: a name of `voices`, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays;
        None lets the model choose. seed: same seed, same clip; None draws one, reported in the clip.
        params: of each request; what is left open takes `default_params`. Of a list of texts each of these
        three may be a list of the same length; one value serves all. cancel: see `engine.request`. progress: True
        shows a bar on a terminal or in a notebook; a function is told (stage, seconds done, expected or None), of
        text in pieces the stage "speech", of a list "batch".
        options: how pieces are cut, joined, and made again; scorer: judges attempts at pieces,
        `engine.scoring.DefaultScorer` for None. Either, given, also holds for text that fits.
        listen: told float32 samples [L] of one text as its pieces are made; together they are the clip.
        Raises TextError, VoiceError, ParamError or CancelledError; nothing is made when one of the texts,
        voices or lengths is at fault.
        """
        with progress_of(progress) as told:
            if isinstance(text, (list, tuple)):
                if listen is not None:
                    raise ParamError(
                        "listen is for one text; generate a list of texts one by one to listen"
                    )
                how = Manner(None, None, options, scorer, cancel, told)
                return self._generate_many(text, voice, seed, params, how)
            refuse_lists({"voice": voice, "seed": seed, "params": params})
            how = Manner(seed, params, options, scorer, cancel, told)  # type: ignore[arg-type]
            asked = self._ask(text, voice, how)  # type: ignore[arg-type]
            if isinstance(asked, Narration):
                return asked.clip(self.engine, listen)
            clip = self.clip(text, asked, run(self.backend, asked))
            if listen is not None:
                listen(clip.waveform)
            return clip

    def _generate_many(
        self,
        texts: Many[str],
        voice: VoiceLike | Many[VoiceLike | None] | None,
        seed: int | Many[int | None] | None,
        params: GenerationParams | Many[GenerationParams | None] | None,
        how: Manner,
    ) -> list[Clip]:
        given = zip(
            texts,
            spread("voice", voice, len(texts)),
            spread("seed", seed, len(texts)),
            spread("params", params, len(texts)),
            strict=True,
        )
        every = [
            self._ask(said, who, replace(how, seed=number, params=limits, progress=None))
            for said, who, number, limits in given
        ]
        requests = [each for each in every if isinstance(each, Request)]
        finished = batch_progress(self.config, how.progress)
        results = iter(run_batch(self.backend, requests, finished=finished))
        return [
            asked.clip(self.engine)
            if isinstance(asked, Narration)
            else self.clip(each, asked, next(results))
            for each, asked in zip(texts, every, strict=True)
        ]

    @offers_keywords
    def stream(
        self,
        text: str,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        latency: str = "sentence",
    ) -> Iterator[Waveform]:
        """Speak `text` and hand out float32 samples [L] piece by piece, while the next ones are made.

        Together they are the waveform of `generate` with the same arguments, sample for sample, and no more
        than `options.ahead` pieces are held. Leaving the loop early stops the work. A book starts as soon as a
        sentence; what is wrong further on in it comes with its piece. latency: "low" hands out
        audio below the sentence, which sounds a little different and cannot be judged, trimmed or made again
        (docs/streaming.md). Raises as `generate`.
        """
        how = Manner(seed, params, options, scorer, cancel, lazily=True)
        asked = replace(self._ask(text, voice, how), latency=latency)
        self.engine.start()
        return (
            asked.stream(self.engine) if isinstance(asked, Narration) else self.engine.stream(asked)
        )

    @offers_keywords
    def generate_script(
        self,
        source: str,
        voice: VoiceLike | None = None,
        speakers: Mapping[str, VoiceLike | None] | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        format: str | None = None,
        markup: str = "error",
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: Listen | None = None,
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
        script = Script(source, cast, format, markup)
        with progress_of(progress) as told:
            how = Manner(seed, params, options, scorer, cancel, told)
            narration = narrate_script(self, script, self.find_voice(voice), how)
            return narration.clip(self.engine, listen)

    def _ask(self, text: str, voice: VoiceLike | None, how: Manner) -> Request | Narration:
        """One request where that is enough, else a narration."""
        in_pieces = how.options is not None or how.scorer is not None
        if not isinstance(text, str) or (
            not in_pieces and fits(text, self.read, self.config, LongFormOptions())
        ):
            return self.request(text, voice, how.seed, how.params, how.progress, how.cancel)
        return narrate_text(self, text, self.find_voice(voice), how)

    def request(
        self,
        text: str,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Request:
        """What `generate` asks of the engine, for callers with an `engine.engine.Engine` of their own.

        Raises TextError, VoiceError or ParamError.
        """
        if not isinstance(text, str):
            raise TextError(f"a text is a string, not {type(text).__name__}")
        return Request(
            text_tokens=self._encode(self.normalize(text)),
            params=check_params(params).resolve(self.default_params),
            seed=check_seed(seed),
            voice=self.find_voice(voice),
            cancel=cancel,
            progress=progress,
        )

    def clip(self, text: str, request: Request, result: CascadeResult) -> Clip:
        """The clip that the engine made of `request(text)`."""
        voice = request.voice
        return Clip(
            waveform=result.waveform,
            sample_rate=self.sample_rate,
            tokens=ClipTokens(result.semantic, result.coarse, result.fine),
            seed=request.seed,
            stop_reason=result.stop_reason,
            timings=result.timings,
            text=text,
            normalized_text=self.normalize(text),
            n_text_tokens=result.n_text_tokens,
            voice=(voice.name or "unnamed") if voice else None,
            params=request.params,
            config=self.config,
            origin=self.origin,
            voice_digest=voice.digest if voice else None,
        )

    def normalize(self, text: str) -> str:
        """`text` as the model will read it. Raises TextError when it is empty or cannot be read."""
        return squeeze(normalize(squeeze(text), self.config.text_normalizer))

    def read(self, text: str) -> tuple[str, Tokens]:
        """`text` as the model will read it, and its tokenizer ids [N]. Raises TextError."""
        normalized = self.normalize(text)
        return normalized, self._encode(normalized)

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

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
from openbark.backends.select import load_backend
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint, public_source, tell
from openbark.checkpoints.fingerprint import fingerprint
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
from openbark.errors import (
    CheckpointCorruptError,
    ParamError,
    TextError,
    VoiceError,
)
from openbark.narration import Manner, Narration, Script, narrate_script, narrate_text
from openbark.params import GenerationParams, check_seed
from openbark.result import Clip, ClipTokens, ModelOrigin
from openbark.stages.coarse import CoarseWindow, with_coarse_window
from openbark.text.normalize import normalize
from openbark.text.tokenizer import Tokenizer, squeeze
from openbark.voices.folders import library_of
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = ["Bark", "VoiceLike"]

VoiceLike = str | os.PathLike[str] | Voice | Mapping[str, Any]
"""A name, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays (docs/parity.md S39)."""


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

        device: "cpu" (default), "cuda", ...; threads: CPU threads, None takes all cores.
        dtype: "float32", "bfloat16", on the CPU engine "int8" and "int4", on torch "float64"; "auto" (default) is
        int8 where a large model on the CPU engine draws the same with it (docs/native.md), else float32.
        backend: "native" is the compiled engine, "torch" is PyTorch; "auto" (default) takes the engine where it
        can. coarse_window: "stock" (default) is the checkpoint's own; "wide" computes far fewer windows and draws
        other tokens (`stages.coarse.with_coarse_window`).
        Raises CheckpointError, DeviceError, ParamError, or MissingExtraError when neither is installed.
        """
        if threads is not None and (isinstance(threads, bool) or threads < 1):
            raise ParamError(f"threads is {threads}; legal: a whole number from 1, or None")
        found = ready_checkpoint(open_checkpoint(find_checkpoint(path)), tell)
        checkpoint = replace(found, config=with_coarse_window(found.config, coarse_window))
        tokenizer = Tokenizer.load(checkpoint.tokenizer_path)
        loaded = load_backend(checkpoint, backend, device, dtype or "auto", threads, tell)
        origin = ModelOrigin(
            source=public_source(path),
            fingerprint=fingerprint(checkpoint),
            backend=loaded.description.partition(" ")[0],
            device=device or "cpu",
            dtype=loaded.dtype,
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

    @overload
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
        listen: Listen | None = None,
    ) -> Clip: ...

    @overload
    def generate(
        self,
        text: Many[str],
        voice: VoiceLike | Many[VoiceLike | None] | None = None,
        seed: int | Many[int | None] | None = None,
        params: GenerationParams | Many[GenerationParams | None] | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
    ) -> list[Clip]: ...

    def generate(
        self,
        text: str | Many[str],
        voice: VoiceLike | Many[VoiceLike | None] | None = None,
        seed: int | Many[int | None] | None = None,
        params: GenerationParams | Many[GenerationParams | None] | None = None,
        progress: Progress | None = None,
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
        three may be a list of the same length; one value serves all. progress, cancel: see `engine.request`;
        of text in pieces progress is told ("speech", seconds done, expected), of a list ("batch", seconds of
        the clips that are done, None).
        options: how pieces are cut, joined, and made again; scorer: judges attempts at pieces,
        `engine.scoring.DefaultScorer` for None. Either, given, also holds for text that fits.
        listen: told float32 samples [L] of one text as its pieces are made; together they are the clip.
        Raises TextError, VoiceError, ParamError or CancelledError; nothing is made when one of the texts,
        voices or lengths is at fault.
        """
        if not isinstance(text, (list, tuple)):
            refuse_lists({"voice": voice, "seed": seed, "params": params})
            how = Manner(seed, params, options, scorer, cancel, progress)  # type: ignore[arg-type]
            asked = self._ask(text, voice, how)  # type: ignore[arg-type]
            if isinstance(asked, Narration):
                return asked.clip(self.engine, listen)
            clip = self.clip(text, asked, run(self.backend, asked))
            if listen is not None:
                listen(clip.waveform)
            return clip
        if listen is not None:
            raise ParamError(
                "listen is for one text; generate a list of texts one by one to listen"
            )
        given = zip(
            text,
            spread("voice", voice, len(text)),
            spread("seed", seed, len(text)),
            spread("params", params, len(text)),
            strict=True,
        )
        every = [
            self._ask(said, who, Manner(number, limits, options, scorer, cancel))
            for said, who, number, limits in given
        ]
        requests = [each for each in every if isinstance(each, Request)]
        finished = batch_progress(self.config, progress)
        results = iter(run_batch(self.backend, requests, finished=finished))
        return [
            asked.clip(self.engine)
            if isinstance(asked, Narration)
            else self.clip(each, asked, next(results))
            for each, asked in zip(text, every, strict=True)
        ]

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
        how = Manner(seed, params, options, scorer, cancel, progress)
        script = Script(source, cast, format, markup)
        return narrate_script(self, script, self.find_voice(voice), how).clip(self.engine, listen)

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
            params=(params or GenerationParams()).resolve(self.default_params),
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

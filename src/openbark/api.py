"""The front door: load a Bark, generate clips. Thin over `openbark.engine`.

Knows no command line, and no backend until a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

from openbark.asking import Asked, ask, notify, request_of, told_at_the_end
from openbark.backends.base import Backend
from openbark.backends.native.library import checked_threads
from openbark.backends.select import load_backend
from openbark.checkpoints.checkpoint import open_checkpoint
from openbark.checkpoints.convert import ready_checkpoint
from openbark.checkpoints.find import find_checkpoint, public_source, tell
from openbark.checkpoints.fingerprint import fingerprint
from openbark.config import BarkConfig
from openbark.engine.batch import Many, batch_progress, refuse_lists, run_batch, spread
from openbark.engine.engine import Engine
from openbark.engine.longform_options import LongFormOptions
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
from openbark.engine.speech_plan import SpeechPlan
from openbark.errors import ParamError, VoiceError
from openbark.narration import (
    Manner,
    Narration,
    Script,
    narrate_script,
    plan_of_text,
)
from openbark.params import GenerationParams
from openbark.result import Clip, ClipTokens, ModelOrigin
from openbark.stages.coarse import CoarseWindow, with_coarse_window
from openbark.text.reader import TextReader
from openbark.text.tokenizer import Tokenizer
from openbark.voices.folders import library_of
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice

__all__ = ["Bark", "VoiceLike"]

VoiceLike = str | os.PathLike[str] | Voice | Mapping[str, Any]
"""A name, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays (S39)."""


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

        device: "cpu" (default), "cuda", ...; threads: CPU threads, None takes all cores; more than
        there are cores are not started, which a warning says.
        dtype: "float32", "bfloat16", on the CPU engine "int8" and "int4", on torch "float64"; "auto" (default) is
        int8 where a large model on the CPU engine draws the same with it (docs/native.md), else float32.
        backend: "native" is the compiled engine, "torch" is PyTorch; "auto" (default) takes the engine where it
        can. coarse_window: "stock" (default) is the checkpoint's own; "wide" computes far fewer windows and draws
        other tokens (`stages.coarse.with_coarse_window`).
        Raises CheckpointError, DeviceError, ParamError, or MissingExtraError when neither is installed.
        """
        checked_threads(threads)
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
        """What every request of this model runs on: requests of several threads share its batches."""
        return Engine(self.backend)

    @property
    def config(self) -> BarkConfig:
        """Sizes and rules of the model."""
        return self.backend.config

    @property
    def reader(self) -> TextReader:
        """How the model reads text."""
        return TextReader(self.config, self.tokenizer)

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
        input_format: str | None = None,
        strict: bool = False,
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
        listen: None = None,
        input_format: str | None = None,
        strict: bool = False,
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
        input_format: str | None = None,
        strict: bool = False,
    ) -> Clip | list[Clip]:
        """Speak `text`, of any length: what fits one request is one, longer text and text of several lines is spoken in
        pieces (`plan` says which).
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
        input_format: a key of `text.documents.INPUT_FORMATS`; None is "auto", and "text" for models that read raw text,
        such as Suno's. What has no sound is left out with one warning of the log; strict refuses it instead.
        Raises TextError, VoiceError, ParamError or CancelledError; nothing is made when one of the texts,
        voices or lengths is at fault.
        """
        common = Manner(
            options=options, scorer=scorer, cancel=cancel, input_format=input_format, strict=strict
        )
        if not isinstance(text, (list, tuple)):
            refuse_lists({"voice": voice, "seed": seed, "params": params})
            how = replace(common, seed=seed, params=params, progress=progress)  # type: ignore[arg-type]
            asked = self._ask(text, voice, how)  # type: ignore[arg-type]
            if isinstance(asked.work, Narration):
                return asked.work.clip(self.engine, listen)
            clip = self.clip(text, asked.work, self.engine.run(asked.work), asked)
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
            self._ask(said, who, replace(common, seed=number, params=limits))
            for said, who, number, limits in given
        ]
        requests = [each.work for each in every if isinstance(each.work, Request)]
        finished = batch_progress(self.config, progress)
        results = iter(run_batch(self.engine, requests, finished=finished))
        return [
            asked.work.clip(self.engine)
            if isinstance(asked.work, Narration)
            else self.clip(each, asked.work, next(results), asked)
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
        input_format: str | None = None,
        strict: bool = False,
    ) -> Iterator[Waveform]:
        """Speak `text` and hand out float32 samples [L] piece by piece, while the next ones are made.

        Together they are the waveform of `generate` with the same arguments, sample for sample, and no more
        than `options.ahead` pieces are held. Leaving the loop early stops the work. A book starts as soon as a
        sentence; what is wrong further on in it comes with its piece. latency: "low" hands out
        audio below the sentence, which sounds a little different and cannot be judged, trimmed or made again
        (docs/streaming.md). Raises as `generate`.
        """
        how = Manner(
            seed,
            params,
            options,
            scorer,
            cancel,
            lazily=True,
            input_format=input_format,
            strict=strict,
        )
        asked = self._ask(text, voice, how)
        self.engine.start()
        work = replace(asked.work, latency=latency)
        blocks = (
            work.stream(self.engine) if isinstance(work, Narration) else self.engine.stream(work)
        )
        return told_at_the_end(blocks, asked.planned)

    def generate_script(
        self,
        source: str,
        voice: VoiceLike | None = None,
        speakers: Mapping[str, VoiceLike | None] | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        format: str | None = None,
        markup: str = "read",
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: Listen | None = None,
        strict: bool = False,
    ) -> Clip:
        """Speak a script: dialogue, pauses, other voices, SSML, or subtitles at their times.

        speakers: the names that may stand before a colon, each with its voice; `[voice:x]` and SSML's
        <voice name="x"> look here first, then in `voices`. voice: of everything else. format: a key of
        `text.script.SCRIPT_FORMATS`, None tells "ssml" from "text". markup: what is outside
        the subset is passed over with one notice, the words in it spoken ("read"), said as it is written ("speak") or
        refused ("error", which `strict` means too). The rest as `generate`. In the clip, `segments` say where
        each piece is in `source`, and how late a subtitle came.
        Raises TextError with its place, VoiceError, ParamError or CancelledError.
        """
        cast = {name: self.find_voice(each) for name, each in (speakers or {}).items()}
        how = Manner(seed, params, options, scorer, cancel, progress, strict=strict)
        script = Script(source, cast, format, markup)
        narration = narrate_script(self, script, self.find_voice(voice), how)
        notify(narration.planned)
        return narration.clip(self.engine, listen)

    def _ask(self, text: str, voice: VoiceLike | None, how: Manner) -> Asked:
        return ask(self, text, self.find_voice(voice), how)

    def plan(
        self,
        text: str,
        options: LongFormOptions | None = None,
        input_format: str | None = None,
        strict: bool = False,
    ) -> SpeechPlan:
        """What `generate` would speak of `text`: pieces, pauses, what has no sound. Raises TextError or ParamError."""
        how = Manner(options=options, input_format=input_format, strict=strict)
        return plan_of_text(self, text, None, how)

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
        normalized = self.normalize(text)
        how = Manner(seed, params, cancel=cancel, progress=progress)
        return request_of(self, self.reader.encode(normalized), self.find_voice(voice), how)

    def clip(
        self,
        text: str,
        request: Request,
        result: CascadeResult,
        asked: Asked | None = None,
    ) -> Clip:
        """The clip that the engine made of `request(text)`. asked: how the text was read, where that is known."""
        voice = request.voice
        return Clip(
            waveform=result.waveform,
            sample_rate=self.sample_rate,
            tokens=ClipTokens(result.semantic, result.coarse, result.fine),
            seed=request.seed,
            stop_reason=result.stop_reason,
            timings=result.timings,
            text=text,
            normalized_text=asked.normalized if asked else self.normalize(text),
            n_text_tokens=result.n_text_tokens,
            voice=(voice.name or "unnamed") if voice else None,
            params=request.params,
            config=self.config,
            origin=self.origin,
            voice_digest=voice.digest if voice else None,
            recipe=asked.recipe if asked else {},
        )

    def normalize(self, text: str) -> str:
        """`text` as the model will read it. Raises TextError when it is empty or cannot be read."""
        return self.reader.normalize(text)

    def read(self, text: str) -> tuple[str, Tokens]:
        """`text` as the model will read it, and its tokenizer ids [N]. Raises TextError."""
        return self.reader.read(text)

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

"""The public Python API: load a Bark, generate clips. Thin over `openbark.speech`.

Knows no command line, and no backend until a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

from openbark.backends.base import Backend
from openbark.config import BarkConfig
from openbark.engine.batch import Many, batch_progress, refuse_list, run_batch, spread
from openbark.engine.engine import Engine
from openbark.engine.request import CascadeResult, Listen, Request
from openbark.errors import ParamError, VoiceError
from openbark.keywords import offers_keywords
from openbark.loading import LoadOptions, load_model
from openbark.longform.options import LongFormOptions
from openbark.longform.scoring import Scorer
from openbark.params import GenerationParams, check_params, check_seed
from openbark.progress import progress_of
from openbark.result import Clip, ModelOrigin
from openbark.speech.job import SpeechJob, clip_of, plan_job
from openbark.speech.options import ScriptOptions, SpeechOptions
from openbark.speech.plan import SpeechPlan
from openbark.stages.coarse import CoarseWindow
from openbark.text.reader import TextReader
from openbark.text.tokenizer import Tokenizer
from openbark.types import Cancel, Progress, Tokens, Waveform
from openbark.voices.library import VoiceLibrary
from openbark.voices.voice import Voice, VoiceLike


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
            raise ParamError("a Bark made of parts cannot be pickled; one of Bark.load(...) can")
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

        device: "cpu" (default), "cuda", ...; threads: CPU threads, None takes all cores; more than
        there are cores are not started, which a warning says.
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
        progress: Progress | bool | None = None,
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
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: None = None,
        input_format: str | None = None,
        strict: bool = False,
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
        input_format: str | None = None,
        strict: bool = False,
    ) -> Clip | list[Clip]:
        """Speak `text`, of any length: what fits one request is one, longer text and text of several lines is spoken in
        pieces (`plan` says which).
        A list of texts becomes a list of clips, made together: each is what it would be alone, to the token.

        voice: a name of `voices`, the path of an `.npz`, a Voice, or Suno's dictionary of three arrays;
        None lets the model choose. seed: same seed, same clip; None draws one, reported in the clip.
        params: of each request; what is left open takes `default_params`. Of a list of texts each of these
        three may be a list of the same length; one value serves all. cancel: see `engine.request`. progress: True
        shows a bar on a terminal or in a notebook; a function is told (stage, seconds done, expected or None), of
        text in pieces the stage "speech", of a list "batch".
        options: how pieces are cut, joined, and made again; scorer: judges attempts at pieces,
        `longform.scoring.DefaultScorer` for None. Either, given, also holds for text that fits.
        listen: told float32 samples [L] of one text as its pieces are made; together they are the clip.
        input_format: a key of `text.scripts.documents.INPUT_FORMATS`; None is "auto", and "text" for models that read raw text,
        such as Suno's. What has no sound is left out with one warning of the log; strict refuses it instead.
        Raises TextError, VoiceError, ParamError or CancelledError; nothing is made when one of the texts,
        voices or lengths is at fault.
        """
        common = SpeechOptions(
            long_form=options,
            scorer=scorer,
            cancel=cancel,
            input_format=input_format,
            strict=strict,
        )
        with progress_of(progress) as told:
            if isinstance(text, (list, tuple)):
                if listen is not None:
                    raise ParamError(
                        "listen is for one text; generate a list of texts one by one to listen"
                    )
                n = len(text)
                voices, seeds = spread("voice", voice, n), spread("seed", seed, n)
                each = zip(voices, seeds, spread("params", params, n), strict=True)
                many = [replace(common, voice=v, seed=s, params=p) for v, s, p in each]
                return self.speak_many(text, many, told)
            one = replace(
                common,
                voice=refuse_list("voice", voice),
                seed=refuse_list("seed", seed),
                params=refuse_list("params", params),
                progress=told,
            )
            return self.job(text, one).clip(self.engine, listen)

    def speak_many(
        self,
        texts: Sequence[str],
        options: Sequence[SpeechOptions],
        progress: Progress | None = None,
    ) -> list[Clip]:
        """A clip of each text with its own options, made together. progress: told of the stage "batch".

        Raises as `generate`; ParamError unless there are as many options as texts.
        """
        if len(texts) != len(options):
            raise ParamError(f"{len(options)} options came for {len(texts)} texts; give one each")
        jobs = [self.job(text, own) for text, own in zip(texts, options, strict=True)]
        requests = [job.request for job in jobs]
        finished = batch_progress(self.config, progress)
        short = [request for request in requests if request is not None]
        results = iter(run_batch(self.engine, short, finished=finished))
        return [
            job.clip(self.engine)
            if request is None
            else job.clip_of(request, next(results), self.config)
            for job, request in zip(jobs, requests, strict=True)
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
        input_format: str | None = None,
        strict: bool = False,
    ) -> Iterator[Waveform]:
        """Speak `text` and yield float32 samples [L] piece by piece, while the next ones are made.

        Together they are the waveform of `generate` with the same arguments, sample for sample, and no more
        than `options.ahead` pieces are held. Leaving the loop early stops the work. A book starts as soon as a
        sentence; what is wrong further on in it comes with its piece. latency: "low" yields
        audio below the sentence, which sounds a little different and cannot be judged, trimmed or made again
        (docs/streaming.md). Raises as `generate`.
        """
        how = SpeechOptions(
            voice=voice,
            seed=seed,
            params=params,
            long_form=options,
            input_format=input_format,
            strict=strict,
            latency=latency,
            scorer=scorer,
            cancel=cancel,
        )
        job = self.job(text, how, lazily=True)
        self.engine.start()
        return job.stream(self.engine)

    @offers_keywords
    def generate_script(
        self,
        source: str,
        voice: VoiceLike | None = None,
        speakers: Mapping[str, VoiceLike | None] | None = None,
        seed: int | None = None,
        params: GenerationParams | None = None,
        format: str | None = None,
        markup: str = "read",
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        options: LongFormOptions | None = None,
        scorer: Scorer | None = None,
        listen: Listen | None = None,
        strict: bool = False,
    ) -> Clip:
        """Speak a script: dialogue, pauses, other voices, SSML, or subtitles at their times.

        speakers: the names that may stand before a colon, each with its voice; `[voice:x]` and SSML's
        <voice name="x"> look here first, then in `voices`. voice: of everything else. format: a key of
        `text.scripts.read.SCRIPT_FORMATS`, None tells "ssml" from "text". markup: what is outside
        the subset is passed over with one notice, the words in it spoken ("read"), said as it is written ("speak") or
        refused ("error", which `strict` means too). The rest as `generate`. In the clip, `segments` say where
        each piece is in `source`, and how late a subtitle came.
        Raises TextError with its place, VoiceError, ParamError or CancelledError.
        """
        with progress_of(progress) as told:
            how = SpeechOptions(
                voice=voice,
                seed=seed,
                params=params,
                long_form=options,
                script=ScriptOptions(format, speakers or {}, markup),
                strict=strict,
                scorer=scorer,
                cancel=cancel,
                progress=told,
            )
            return self.job(source, how).clip(self.engine, listen)

    def job(self, text: str, options: SpeechOptions, lazily: bool = False) -> SpeechJob:
        """A text read, planned, and ready to be spoken: `job(...).clip(bark.engine)`, or `.stream(bark.engine)`.

        What has no sound is logged here; with `lazily`, which plans while the job is streamed, at the end of the
        stream. Raises TextError, VoiceError or ParamError.
        """
        job = plan_job(self, text, options, lazily)
        if not lazily:
            job.log_left_out()
        return job

    def plan(
        self,
        text: str,
        options: LongFormOptions | None = None,
        input_format: str | None = None,
        strict: bool = False,
    ) -> SpeechPlan:
        """What `generate` would speak of `text`: pieces, pauses, what has no sound. Raises TextError or ParamError."""
        how = SpeechOptions(long_form=options, input_format=input_format, strict=strict)
        return plan_job(self, text, how).planned

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
        return Request(
            text_tokens=self.reader.encode(self.normalize(text)),
            params=check_params(params).resolve(self.default_params),
            seed=check_seed(seed),
            voice=self.find_voice(voice),
            cancel=cancel,
            progress=progress,
        )

    def clip(self, text: str, request: Request, result: CascadeResult) -> Clip:
        """The clip that the engine made of `request(text)`."""
        return clip_of(request, result, text, self.normalize(text), self.config, self.origin, {})

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

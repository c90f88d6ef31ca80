"""One case for each way through the package, all on one tiny random checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from golden_records import Record, digest, of_clip, of_tokens, of_waveform
from numpy.typing import NDArray

from openbark.api import Bark
from openbark.cli.main import cli
from openbark.longform.options import LongFormOptions
from openbark.params import GenerationParams, SamplingParams
from openbark.server.speakers.bark_speaker import BarkSpeaker, BarkSpeech
from openbark.server.speakers.base import Utterance
from openbark.speech.options import SpeechOptions
from openbark.voices.voice import Voice

SHORT_TEXT = "It was late."
LONG_TEXT = "It was late. Nobody came, and he slept. Why not?\n\nThe door was open."
TEXTS = (
    "One.",
    "Two of them.",
    "It was late.",
    "Nobody came.",
    "He slept.",
    "Why not?",
    "Hi",
    "Go",
)
SIXTEEN = GenerationParams(max_semantic_tokens=16, allow_early_stop=False)
FILTERED = GenerationParams(
    semantic=SamplingParams(0.9, top_k=20, top_p=0.9, min_eos_p=0.3),
    coarse=SamplingParams(0.8, top_p=0.8),
    fine=SamplingParams(0.6, top_k=7),
    max_semantic_seconds=0.5,
)
DIALOGUE = "ANNA: It was late. [pause:250ms]\nBEN: Nobody came.\n[voice:en_1] He slept."
SSML = '<speak>It was late. <break time="300ms"/><voice name="en_1">Nobody came.</voice></speak>'
SRT = "1\n00:00:00,500 --> 00:00:01,500\nIt was late.\n\n2\n00:00:02,000 --> 00:00:03,000\nHe slept.\n"


@dataclass(frozen=True)
class Kit:
    """What cases use. folder: the checkpoint; scratch: an empty folder; bark: the checkpoint loaded by the CPU engine in float32."""

    folder: Path
    scratch: Path
    bark: Bark

    def load(self, **options: Any) -> Bark:
        """The checkpoint loaded in another way."""
        return Bark.load(self.folder, threads=1, **options)


def voice(seed: int = 0) -> Voice:
    """A voice that fits the tiny Bark."""
    codes = np.random.default_rng(seed).integers(0, 32, (8, 45))
    semantic = np.random.default_rng(seed + 100).integers(0, 100, 30)
    return Voice(semantic, codes[:2], codes, name=f"random_{seed}")


def _one(text: str = SHORT_TEXT, **options: Any) -> Callable[[Kit], Record]:
    return lambda kit: of_clip(kit.bark.generate(text, **options))


def _long(**options: Any) -> Callable[[Kit], Record]:
    chosen = LongFormOptions(**options)
    return lambda kit: of_clip(kit.bark.generate(LONG_TEXT, "en_0", 11, SIXTEEN, options=chosen))


def _script(source: str, **options: Any) -> Callable[[Kit], Record]:
    cast = {"ANNA": "en_0", "BEN": "en_1"}
    return lambda kit: of_clip(
        kit.bark.generate_script(source, "en_0", cast, 12, SIXTEEN, **options)
    )


def _stream(text: str, **options: Any) -> Callable[[Kit], Record]:
    def make(kit: Kit) -> Record:
        blocks = list(kit.bark.stream(text, "en_0", 13, SIXTEEN, **options))
        return _of_blocks(blocks, kit.bark.sample_rate)

    return make


def _of_blocks(blocks: list[NDArray[np.float32]], sample_rate: int) -> Record:
    lengths = " ".join(str(len(block)) for block in blocks)
    return {"blocks": lengths, **of_waveform(np.concatenate(blocks), sample_rate)}


def _loaded(exact: bool = True, **options: Any) -> Callable[[Kit], Record]:
    return lambda kit: of_clip(kit.load(**options).generate(SHORT_TEXT, voice(), 3, SIXTEEN), exact)


def _voice_file(kit: Kit) -> Record:
    path = kit.scratch / "voice.npz"
    voice(2).save(path)
    return {
        "file": digest(path.read_bytes()),
        **of_clip(kit.bark.generate("Hi.", path, 5, SIXTEEN)),
    }


def _clip_as_voice(kit: Kit) -> Record:
    first = kit.bark.generate(SHORT_TEXT, None, 6, SIXTEEN)
    return of_clip(kit.bark.generate("Nobody came.", first.as_voice("mine"), 7, SIXTEEN))


def _list(kit: Kit) -> Record:
    clips = kit.bark.generate(list(TEXTS[:3]), seed=[1, 2, 3], params=SIXTEEN)
    return {str(index): of_clip(clip) for index, clip in enumerate(clips)}


def _batch_of_many(kit: Kit) -> Record:
    texts = [*TEXTS, LONG_TEXT, *TEXTS]
    voices = [(None, "en_0", voice(3))[index % 3] for index in range(len(texts))]
    seeds = list(range(20, 20 + len(texts)))
    clips = kit.bark.generate(texts, voices, seeds, GenerationParams(max_semantic_tokens=20))
    return {
        f"{index:02}": f"{of_tokens(clip.tokens.semantic)}; fine {of_tokens(clip.tokens.fine)}"
        for index, clip in enumerate(clips)
    }


def _edited(kit: Kit) -> Record:
    clip = kit.bark.generate(SHORT_TEXT, "en_0", 8, SIXTEEN)
    edited = clip.edited(trim=True, speed=1.25, loudness=-20.0, sample_rate=16_000)
    return of_clip(edited)


def _suno(kit: Kit) -> Record:
    import torch

    from openbark.compat.suno import api, generation

    torch.manual_seed(4)
    full, waveform = api.generate_audio(SHORT_TEXT, "en_0", 0.6, 0.8, True, True)
    generation.clean_models()
    tokens = {name: of_tokens(np.asarray(array)) for name, array in full.items()}
    return {**tokens, **of_waveform(waveform, kit.bark.sample_rate)}


def _coqui(kit: Kit) -> Record:
    import torch

    from openbark.compat.coqui import TTS

    torch.manual_seed(5)
    samples = TTS(progress_bar=False).tts("It was late. He slept.", speaker="en_0")
    return of_waveform(np.asarray(samples, dtype=np.float32), kit.bark.sample_rate)


def _infinity(kit: Kit) -> Record:
    from openbark.compat.infinity.generation import spoken

    options = {"semantic_max_gen_duration_s": 0.3, "seed": 5}
    segments = spoken(kit.bark, "one two. three four.", options)
    return {
        f"segment {index}": f"{of_tokens(each.voice.semantic)}; fine {of_tokens(each.voice.fine)}"
        for index, each in enumerate(segments)
    }


def _transformers(kit: Kit) -> Record:
    import torch

    from openbark.compat import transformers as shim

    model = shim.BarkModel.from_pretrained(kit.folder)
    processor = shim.AutoProcessor.from_pretrained(kit.folder)
    torch.manual_seed(6)
    waveforms = model.generate(**processor(SHORT_TEXT, voice_preset="en_0"))
    return of_waveform(waveforms.numpy().reshape(-1), kit.bark.sample_rate, exact=False)


def _server(kit: Kit) -> Record:
    speaker = BarkSpeaker(kit.bark)

    async def hear(speech: BarkSpeech) -> list[NDArray[np.float32]]:
        return [block async for block in speech]

    try:
        found: Record = {}
        for latency in ("sentence", "low"):
            params = SIXTEEN.resolve(kit.bark.default_params)
            asked = Utterance(
                LONG_TEXT,
                SpeechOptions(seed=9, params=params, long_form=LongFormOptions(), latency=latency),
            )
            blocks = asyncio.run(hear(speaker.start(asked)))
            # How many blocks come at a time depends on the machine; what they hold together does not.
            found[latency] = of_waveform(np.concatenate(blocks), kit.bark.sample_rate)
        return found
    finally:
        speaker.close()


def _command_line(kit: Kit) -> Record:
    target = kit.scratch / "said.wav"
    words = ["say", SHORT_TEXT, "--model", str(kit.folder), "--threads", "1", "--voice", "en_0"]
    options = ["--seed", "7", "--max-seconds", "0.3", "-q", "-o", str(target)]
    result = CliRunner().invoke(cli, [*words, *options], prog_name="openbark")
    assert result.exit_code == 0, result.output
    from openbark.audio import read_audio

    samples, rate = read_audio(target)
    return of_waveform(samples, rate)


def _replayed(kit: Kit) -> Record:
    from openbark.replay import make_again, read_recipe

    target = kit.scratch / "long.flac"
    kit.bark.generate(LONG_TEXT, "en_0", 14, SIXTEEN).save(target)
    return of_clip(make_again(read_recipe(target), kit.bark))


CASES: dict[str, Callable[[Kit], Record]] = {
    "one text, greedy": _one(seed=0, params=GenerationParams.greedy()),
    "one text, seed 1": _one(seed=1),
    "one text, seed 2 to the 64 less one": _one(seed=2**64 - 1),
    "one text, filtered sampling": _one(seed=2, params=FILTERED),
    "one text, no early stop": _one(seed=3, params=SIXTEEN),
    "one text, voice of the model": _one(voice="en_0", seed=4),
    "one text, voice from a file": _voice_file,
    "one text, clip as voice": _clip_as_voice,
    "one text, wide coarse window": _loaded(coarse_window=(24, 12)),
    "one text, int8": _loaded(dtype="int8"),
    "one text, int4": _loaded(dtype="int4"),
    "one text, PyTorch": _loaded(exact=False, backend="torch"),
    "one text, edited": _edited,
    "list": _list,
    "batch of many": _batch_of_many,
    "long text": _long(),
    "long text, chained, best of two": _long(policy="chain", best_of=2, retries=1),
    "long text, packed, nothing trimmed": _long(split="packed", keep_seconds=None, policy="anchor"),
    "long text, made again from its file": _replayed,
    "script, dialogue": _script(DIALOGUE),
    "script, SSML": _script(SSML, format="ssml"),
    "script, subtitles": _script(SRT, format="srt"),
    "stream, one text": _stream(SHORT_TEXT),
    "stream, long text": _stream(LONG_TEXT),
    "stream, low latency": _stream(SHORT_TEXT, latency="low"),
    "stream, low latency, long text": _stream(LONG_TEXT, latency="low"),
    "server": _server,
    "command line": _command_line,
    "Suno's names": _suno,
    "Coqui's names": _coqui,
    "Bark Infinity's names": _infinity,
    "transformers' names": _transformers,
}

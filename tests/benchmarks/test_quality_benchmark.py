"""The quality benchmark with a fake teacher, listener and model: its document, card and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import quality, systems
from benchmarks.listening import Heard, summarise_prompts
from benchmarks.quality import Options
from benchmarks.quality_card import card
from benchmarks.teacher import Item, Material, teacher_of
from benchmarks.word_errors import Score, edit_distance
from openbark.config import BarkConfig
from openbark.errors import MissingExtraError, ParamError, TextError
from openbark.params import SUNO_PARAMS
from openbark.stages.semantic import StopReason

RATE = 24_000
PITCH = {"en_0": 200.0, "en_1": 90.0}
PRESETS = tuple(PITCH)
SENTENCES = ("Cats sleep all day.", "The door is open.", "We like tea.")
PROMPTS = ("Yes.", "No.")


def item(text: str) -> Item:
    return Item(text, text, tuple(text.lower().strip(".").split()))


MATERIAL = Material(
    sentences=tuple(map(item, SENTENCES)),
    prompts=tuple(map(item, PROMPTS)),
    phrases=(("yes",), ("no",), ("maybe",)),
    training_words=(("cats", "sleep"),),
    fitting_texts=tuple(f"fitting text {i}" for i in range(6)),
    left_out=("Xyzzy.",),
)


def voice_of(preset: str, text: str, seed: int = 0) -> NDArray[np.float32]:
    """A buzz whose pitch and brightness are the preset's; it lasts as long as the text."""
    rng = np.random.default_rng([len(text), seed])
    base = PITCH[preset]
    t = np.arange(round(0.05 * RATE * len(text) + 0.3 * RATE)) / RATE
    phase = (
        2 * np.pi * np.cumsum(base * (1 + 0.1 * np.sin(2 * np.pi * (3 + rng.random()) * t))) / RATE
    )
    slope = base / 100.0 + 0.05 * rng.standard_normal()
    wave = sum(np.sin(k * phase) / k**slope for k in range(1, 12))
    return (0.1 * wave + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


class FakeBackend:
    """A codec whose codes are the samples, in thousandths, on the first book."""

    def codec_encode(self, waveform: NDArray[np.float32], n_codebooks: int) -> NDArray[np.int64]:
        codes = np.zeros((n_codebooks, len(waveform)), np.int64)
        codes[0] = np.round(waveform * 1000)
        return codes

    def codec_decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        return (codes[0] / 1000).astype(np.float32)


class FakeBark:
    """Speaks like the teacher with another seed, but runs away in one sentence and is mute in one."""

    def __init__(self) -> None:
        self.config = BarkConfig.tiny()
        self.default_params = SUNO_PARAMS
        self.sample_rate = RATE
        self.backend = FakeBackend()
        self.asked: list[tuple[str, str, int, float]] = []

    def generate(self, text: str, voice: str, seed: int, params: Any) -> Any:
        self.asked.append((text, voice, seed, params.semantic.temperature))
        if text == SENTENCES[1] and voice == "en_1":
            raise TextError("the model ended before it said anything (seed 1); try another seed")
        waveform = voice_of(voice, text, seed)
        reason = StopReason.EOS
        if text == SENTENCES[2] and voice == "en_0":
            waveform, reason = np.tile(waveform, 3), StopReason.MAX_TOKENS
        fine = self.backend.codec_encode(waveform, 8)
        return SimpleNamespace(
            waveform=waveform,
            sample_rate=RATE,
            tokens=SimpleNamespace(fine=fine),
            stop_reason=reason,
        )

    def find_voice(self, preset: str) -> Any:
        codes = self.backend.codec_encode(voice_of(preset, "the prompt of the preset"), 8)
        return SimpleNamespace(fine=codes)


class FakeListener:
    """Hears every sentence right, but "tea" as "sea", and nothing in an empty clip."""

    vocabulary = ("cats", "tea")

    def __init__(self, material: Material, _: object) -> None:
        self._material = material

    def sentence(
        self, index: int, waveform: NDArray[np.float32], sample_rate: int
    ) -> dict[str, Heard]:
        said = self._material.sentences[index].words
        words = tuple("sea" if w == "tea" else w for w in said) if len(waveform) else ()
        score = Score(edit_distance(said, words), len(said))
        return {"bigram": Heard(words, score), "unigram": Heard(words, score)}

    def prompt(self, waveform: NDArray[np.float32], sample_rate: int) -> tuple[str, ...]:
        return ("yes",)


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def speak(text: str, speaker: str) -> NDArray[np.float32]:
        return voice_of(next(p for p in PRESETS if teacher_of(p) == speaker), text)

    def pronunciations() -> dict[str, tuple[str, ...]]:
        return {}

    def material(*_: object, **__: object) -> Material:
        return MATERIAL

    monkeypatch.setattr(systems, "speak", speak)
    monkeypatch.setattr(quality, "Listener", FakeListener)
    monkeypatch.setattr(quality, "load_pronunciations", pronunciations)
    monkeypatch.setattr(quality, "prepare_material", material)


def measure(bark: FakeBark | None = None, **settings: Any) -> dict[str, Any]:
    options = Options(presets=PRESETS, n_pictures=1, **settings)
    load: Callable[[Options], Any] = lambda _: bark or FakeBark()  # noqa: E731
    return quality.measure(options, load, lambda _: None)


def test_document_of_a_model_with_known_faults() -> None:
    document = measure(parts=("codec", "model-coarse"))
    assert list(document["systems"]) == ["teacher", "model", "codec", "model-coarse"]
    teacher, model = document["systems"]["teacher"], document["systems"]["model"]
    # 11 words a voice; "tea" is missed in each; the mute sentence of en_1 has four words more.
    assert teacher["wer"]["bigram"]["all"]["rate"] == pytest.approx(2 / 22)
    assert model["wer"]["bigram"]["en_0"]["rate"] == pytest.approx(1 / 11)
    assert model["wer"]["bigram"]["en_1"]["rate"] == pytest.approx(5 / 11)
    gap = model["wer_above_teacher"]["bigram"]
    assert gap["difference"] == pytest.approx(4 / 22)
    assert gap["low"] <= gap["difference"] <= gap["high"]
    assert model["sentence_clips"]["problems"]["stopped at a limit"] == 2
    assert model["sentence_clips"]["run_away_or_early_stop_rate"] == pytest.approx(2 / 6)
    assert model["prompts_right"]["all"] == 0.5
    assert model["prompts_right"]["wrong"][0] == {"voice": "en_0", "said": "no", "heard": "yes"}
    assert model["speaker"]["voiceless"] == 1
    assert teacher["speaker"]["identified"] == 1.0
    assert model["speaker_to_preset_prompts"]["own_is_best"]
    assert document["systems"]["codec"]["against_original"]["mel_l1"] < 0.3
    assert document["targets"]["prompts_right"] == {"value": 0.5, "target": 0.95, "met": False}
    assert document["targets"]["own_preset_most_similar"]["met"]


def test_the_same_clip_is_not_generated_twice_and_every_clip_has_its_own_seed() -> None:
    bark = FakeBark()
    measure(bark, parts=("model-coarse",), temperatures=(("semantic", 0.25),), seed=7)
    spoken = [call for call in bark.asked if call[:2] != (SENTENCES[1], "en_1")]
    assert len(set(spoken)) == len(spoken) == 9
    assert {temperature for *_, temperature in bark.asked} == {0.25}
    seeds = {(text, voice): seed for text, voice, seed, _ in bark.asked if text in SENTENCES}
    assert len(set(seeds.values())) == len(seeds)
    assert seeds[SENTENCES[0], "en_0"] == 7


def test_reference_only_loads_no_model() -> None:
    def refuse(_: Options) -> Any:
        raise AssertionError("no model is needed")

    options = Options(presets=PRESETS, reference_only=True)
    document = quality.measure(options, refuse, lambda _: None)
    assert list(document["systems"]) == ["teacher"]
    assert "targets" not in document


def test_settings_can_be_compared_without_judging_the_teacher() -> None:
    document = measure(skip_reference=True)
    assert list(document["systems"]) == ["model"]
    assert "wer_above_teacher" not in document["systems"]["model"]
    assert set(document["targets"]) == {
        "run_away_or_early_stop_rate",
        "prompts_right",
        "own_preset_most_similar",
    }
    assert "points above the teacher" not in card(document)


def test_output_folder_holds_clips_transcripts_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    measure(out=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"teacher-en_0-00.wav", "model-en_1-02.wav", "teacher.jsonl", "model.jsonl"} <= names
    assert "model-en_1-01.wav" not in names
    assert sum(name.endswith(".png") for name in names) == 2
    lines = [json.loads(line) for line in (tmp_path / "model.jsonl").read_text().splitlines()]
    assert lines[2]["heard_bigram"] == "we like sea"
    assert lines[2]["stop_reason"] == "max_tokens"


def test_card_comes_first_and_the_last_line_is_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "_load_bark", lambda _: FakeBark())
    assert quality.main(["--voices", "en_0,en_1", "--parts", "codec"]) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    document = json.loads(last)
    assert document["benchmark"] == "quality"
    assert "\n".join(shown) == card(document)
    text = "\n".join(shown)
    for part in ("en_0 (slt)", "WER %, bigram", "points above the teacher", "NOT MET", "Xyzzy"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--voices", "en_0,en_9"], "en_9"),
        (["--parts", "codex"], "codec-coarse"),
        (["--sentences", "0"], "1 to 60"),
        (["--sentences", "61"], "1 to 60"),
        (["--reference-only", "--parts", "codec"], "--reference-only"),
        (["--reference-only", "--skip-reference"], "--skip-reference"),
    ],
)
def test_bad_options_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quality.main(arguments) == ParamError.exit_code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_missing_extra_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise MissingExtraError("spectrogram pictures need matplotlib")

    monkeypatch.setattr(quality, "load_pyplot", missing)
    assert quality.main(["--out", "nowhere"]) == MissingExtraError.exit_code
    assert not Path("nowhere").exists()


def test_prompts_count_only_when_exact() -> None:
    expected = [("thank", "you"), ("no",)]
    heard = {"en_0": [("thank", "you"), ("no", "way")], "en_1": [("thank",), ("no",)]}
    assert summarise_prompts(expected, heard)["all"] == 0.5

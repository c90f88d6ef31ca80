"""Long texts and scripts through the front door, on the tiny model: streams equal wholes, everything is reported."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openbark import Bark
from openbark.errors import CancelledError, ParamError, TextError, VoiceError
from openbark.longform.options import LongFormOptions, Pauses
from openbark.longform.run import piece_seed
from openbark.longform.scoring import Attempt, DefaultScorer, Score
from openbark.params import GenerationParams
from openbark.replay import make_again, read_recipe
from openbark.result import Clip
from openbark.speech.options import SpeechOptions
from openbark.voices.voice import Voice

TEXT = "It was late. Nobody came, and he slept. Why not?"
PARAMS = GenerationParams(max_semantic_tokens=24, allow_early_stop=False)


@pytest.fixture(scope="module")
def bark(tiny_checkpoint_dir: Path) -> Bark:
    loaded = Bark.load(tiny_checkpoint_dir, backend="torch")
    for token in (1, 2):
        voice = Voice(np.full(40, token), np.full((2, 60), token), np.full((8, 60), token))
        path = tiny_checkpoint_dir.parent / f"v{token}.npz"
        voice.save(path)
    return loaded


@pytest.fixture(scope="module")
def cast(tiny_checkpoint_dir: Path) -> dict[str, Path]:
    return {f"V{token}": tiny_checkpoint_dir.parent / f"v{token}.npz" for token in (1, 2)}


@pytest.fixture(scope="module")
def clip(bark: Bark, cast: dict[str, Path]) -> Clip:
    return bark.generate(TEXT, cast["V1"], 7, PARAMS)


def test_long_text_is_spoken_in_pieces_that_cover_it(clip: Clip) -> None:
    assert len(clip.segments) > 3
    said = "".join(TEXT[each.start : each.stop] for each in clip.segments)
    assert "".join(said.split()) == "".join(TEXT.split())
    assert [each.seed for each in clip.segments] == [
        piece_seed(7, index, 0) for index in range(len(clip.segments))
    ]
    ends = [0, *(each.end_sample for each in clip.segments)]
    assert all(a <= each.first_sample for a, each in zip(ends, clip.segments, strict=False))
    assert clip.tokens.semantic.shape == (24 * len(clip.segments),)
    assert clip.tokens.fine.shape[1] == clip.tokens.coarse.shape[1]
    assert clip.stop_reason == "max_tokens"
    assert clip.voice == "v1"
    assert set(clip.timings) == {"semantic", "coarse", "fine", "codec"}


def test_text_that_fits_is_one_request_as_ever(bark: Bark, cast: dict[str, Path]) -> None:
    short = bark.generate("It was late.", cast["V1"], 7, PARAMS)
    assert "long_form" not in short.recipe
    given = bark.generate(
        "It was late.", cast["V1"], 7, PARAMS, options=LongFormOptions(keep_seconds=None)
    )
    assert np.array_equal(given.tokens.fine, short.tokens.fine)
    assert len(given.segments) == 1


@pytest.mark.parametrize("policy", ["anchor", "chain", "hybrid"])
def test_a_stream_is_the_whole_sample_for_sample(
    bark: Bark, cast: dict[str, Path], policy: str
) -> None:
    options = LongFormOptions(policy=policy, anchor_every=2)
    whole = bark.generate(TEXT, cast["V1"], 3, PARAMS, options=options)
    blocks = list(bark.stream(TEXT, cast["V1"], 3, PARAMS, options=options))
    assert len(blocks) >= len(whole.segments)
    assert np.array_equal(np.concatenate(blocks), whole.waveform)
    assert all(block.dtype == np.float32 for block in blocks)


def test_a_stream_of_text_that_fits(bark: Bark) -> None:
    (block,) = bark.stream("Hi.", seed=1, params=PARAMS)
    assert np.array_equal(block, bark.generate("Hi.", seed=1, params=PARAMS).waveform)


def test_the_first_piece_makes_the_voice_where_none_is_given(bark: Bark) -> None:
    found = bark.generate(TEXT, None, 7, PARAMS, options=LongFormOptions(policy="anchor"))
    assert [each.voice for each in found.segments][:2] == [None, "unnamed"]
    assert found.voice is None


def test_progress_counts_seconds_and_cancel_stops(bark: Bark, cast: dict[str, Path]) -> None:
    told: list[tuple[str, float, float | None]] = []
    stop = threading.Event()

    def progress(stage: str, done: float, total: float | None) -> None:
        told.append((stage, done, total))
        if len(told) == 2:
            stop.set()

    with pytest.raises(CancelledError):
        bark.generate(TEXT, cast["V1"], 7, PARAMS, progress, stop)
    assert [stage for stage, _, _ in told] == ["speech", "speech"]
    assert told[0][1] < told[1][1]
    assert bark.engine.stats.running == bark.engine.stats.queued == 0


def test_everything_is_reported(clip: Clip, tmp_path: Path) -> None:
    document = json.loads(clip.to_json())
    assert document["long_form"]["policy"] == "hybrid"
    first = document["segments"][0]
    assert first["attempts"][0]["seed"] == 7
    assert first["text"] == TEXT[first["start"] : first["stop"]]
    clip.save(tmp_path / "a.wav")
    recipe = read_recipe(tmp_path / "a.wav")
    assert recipe.speech.long_form == LongFormOptions(retries=2, keep_seconds=0.05)


def test_replay_makes_the_same_long_audio(
    bark: Bark, cast: dict[str, Path], tmp_path: Path
) -> None:
    options = LongFormOptions(policy="chain", pauses=Pauses(0.0, 0.2, 0.3), best_of=2)
    made = bark.generate(TEXT, cast["V1"], 11, PARAMS, options=options)
    made.save(tmp_path / "a.flac")
    recipe = read_recipe(tmp_path / "a.flac")
    assert recipe.speech.long_form == replace(options, retries=2, keep_seconds=0.05)
    assert np.array_equal(make_again(recipe, bark, cast["V1"]).waveform, made.waveform)


def test_subtitles_of_a_clip(clip: Clip) -> None:
    assert clip.subtitles().startswith("1\n00:00:00,")
    sentences = json.loads(clip.subtitles("json", words=True))["sentences"]
    assert len(sentences) == len(clip.segments)
    for sentence, segment in zip(sentences, clip.segments, strict=True):
        assert sentence["span"] == [segment.start, segment.stop]
        assert sentence["start"] == round(segment.first_sample / clip.sample_rate, 4)
        assert sentence["words"][0]["is_estimate"]


def test_scripts_have_voices_by_name(bark: Bark, cast: dict[str, Path], tmp_path: Path) -> None:
    source = "V1: One.\nV2: Two.\n[pause:1s]\n\nThree.\n"
    made = bark.generate_script(source, None, cast, 5, PARAMS)
    assert [each.voice for each in made.segments] == ["v1", "v2", None]
    assert [source[each.start : each.stop] for each in made.segments] == ["One.", "Two.", "Three."]
    assert made.recipe["script"]["speakers"] == {"V1": "v1", "V2": "v2"}
    pause = made.segments[2].first_sample - made.segments[1].end_sample
    assert pause >= made.sample_rate
    made.save(tmp_path / "a.wav")
    read = read_recipe(tmp_path / "a.wav").speech.script
    assert read is not None
    assert {
        "speakers": read.speakers,
        "format": read.format,
        "markup": read.markup,
    } == made.recipe["script"]


def test_voices_of_markup_are_looked_up(bark: Bark, cast: dict[str, Path]) -> None:
    made = bark.generate_script(
        "<speak><voice name='V2'>One.</voice></speak>", None, cast, 5, PARAMS
    )
    assert made.segments[0].voice == "v2"
    with pytest.raises(VoiceError, match="'nobody'"):
        bark.generate_script("[voice:nobody] One.", None, cast, 5, PARAMS)
    with pytest.raises(TextError, match="unknown markup"):
        bark.generate_script("[what] One.", None, cast, 5, PARAMS, markup="error")


def test_a_list_may_hold_long_and_short_texts(
    bark: Bark, cast: dict[str, Path], clip: Clip
) -> None:
    short, long = bark.generate(["It was late.", TEXT], cast["V1"], [3, 7], PARAMS)
    assert np.array_equal(long.waveform, clip.waveform)
    alone = bark.generate("It was late.", cast["V1"], 3, PARAMS)
    assert np.array_equal(short.waveform, alone.waveform)


@pytest.mark.parametrize("text", ["", " \n ", 5])
def test_text_that_is_none(bark: Bark, text: object) -> None:
    for speak in (bark.generate, bark.stream):
        with pytest.raises(TextError):
            speak(text, options=LongFormOptions())  # type: ignore[arg-type]
        with pytest.raises(TextError):
            speak(text)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def live(bark: Bark, cast: dict[str, Path]) -> list[np.ndarray]:
    return list(bark.stream(TEXT, cast["V1"], 7, PARAMS, latency="low"))


def test_low_latency_comes_in_more_blocks_and_the_same_each_time(
    bark: Bark, cast: dict[str, Path], live: list[np.ndarray]
) -> None:
    plain = list(bark.stream(TEXT, cast["V1"], 7, PARAMS))
    assert len(live) > len(plain)
    again = np.concatenate(list(bark.stream(TEXT, cast["V1"], 7, PARAMS, latency="low")))
    np.testing.assert_array_equal(np.concatenate(live), again)


def test_low_latency_of_a_text_that_fits_is_one_request(bark: Bark) -> None:
    params = GenerationParams(max_semantic_tokens=24, allow_early_stop=False)
    blocks = list(bark.stream("It was late.", seed=7, params=params, latency="low"))
    assert len(blocks) > 1
    clip = bark.generate("It was late.", seed=7, params=params)
    assert sum(len(block) for block in blocks) == len(clip.waveform)


def test_listeners_hear_a_clip_while_it_is_made(bark: Bark, cast: dict[str, Path]) -> None:
    heard: list[tuple[np.ndarray, int]] = []
    before = bark.engine.stats.finished

    def listen(block: np.ndarray) -> None:
        heard.append((block, bark.engine.stats.finished - before))

    clip = bark.generate(TEXT, cast["V1"], 7, PARAMS, listen=listen)
    np.testing.assert_array_equal(np.concatenate([block for block, _ in heard]), clip.waveform)
    n_pieces = len(clip.segments)
    assert heard[0][1] < n_pieces <= heard[-1][1]
    again = bark.generate(TEXT, cast["V1"], 7, PARAMS)
    np.testing.assert_array_equal(clip.waveform, again.waveform)
    said: list[np.ndarray] = []
    script = bark.generate_script("One.\nTwo.", seed=7, params=PARAMS, listen=said.append)
    np.testing.assert_array_equal(np.concatenate(said), script.waveform)
    said.clear()
    short = bark.generate("Yes.", seed=7, params=PARAMS, listen=said.append)
    assert [each.tolist() for each in said] == [short.waveform.tolist()]
    with pytest.raises(ParamError, match="listen is for one text"):
        bark.generate(["Yes."], listen=said.append)  # type: ignore[call-overload]


def test_low_latency_tells_of_each_piece(bark: Bark, cast: dict[str, Path]) -> None:
    how = SpeechOptions(
        voice=cast["V1"], seed=7, params=PARAMS, long_form=LongFormOptions(), latency="low"
    )
    job = bark.job(TEXT, how)
    placed = list(job.placed(bark.engine))
    spoken = [each for each in placed if each.spoken]
    assert len(spoken) == len(job.planned.plan.pieces)
    ends = [0, *(each.end_sample for each in spoken)]
    assert all(a <= each.first_sample for a, each in zip(ends, spoken, strict=False))
    assert ends[-1] <= sum(len(each.block) for each in placed)


def test_low_latency_takes_what_asks_for_nothing(bark: Bark) -> None:
    asked = LongFormOptions(best_of=1, retries=0, keep_seconds=None, policy="anchor")
    plain = LongFormOptions(policy="anchor")
    heard = [
        np.concatenate(list(bark.stream(TEXT, None, 7, PARAMS, options=each, latency="low")))
        for each in (asked, plain)
    ]
    np.testing.assert_array_equal(*heard)


def test_a_scorer_judges_text_that_fits_too(bark: Bark) -> None:
    class Picky:
        def score(self, attempt: Attempt) -> Score:
            return Score(0.0, ("too plain",))

    clip = bark.generate("Yes.", seed=7, params=PARAMS, scorer=Picky())
    assert [each.faults for each in clip.segments[0].attempts] == [("too plain",)] * 3


def test_what_auto_stands_for_is_written_down(bark: Bark) -> None:
    clip = bark.generate(TEXT, seed=7, params=PARAMS, options=LongFormOptions())
    assert clip.recipe["long_form"]["retries"] == 2
    assert clip.recipe["long_form"]["keep_seconds"] == 0.05


def test_low_latency_refuses_what_it_cannot_do(bark: Bark) -> None:
    for name, value in (("best_of", 2), ("retries", 2), ("keep_seconds", 0.05)):
        with pytest.raises(
            ParamError, match=f"{name} is {value} with latency 'low'; allowed: .*; leave"
        ):
            bark.stream(TEXT, options=LongFormOptions(**{name: value}), latency="low")
    with pytest.raises(ParamError, match=r"scorer is .* with latency 'low'; allowed: None"):
        bark.stream("Yes.", scorer=DefaultScorer(), latency="low")
    with pytest.raises(ParamError, match="latency is 'now'"):
        bark.stream(TEXT, latency="now")
    with pytest.raises(ParamError, match="latency is 'now'"):
        bark.stream("Yes.", latency="now")

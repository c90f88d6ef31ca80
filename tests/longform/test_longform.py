"""Long form: seeds, voice policies, retries, bounded work, joins and times, on an engine that speaks tones."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from planned_text import ANY, CONFIG, TEXT, encode, voice
from spoken_words import SAMPLE_RATE, ToneEngine, spoken, tone

from openbark.engine.request import CascadeResult, Request
from openbark.errors import BusyError, CancelledError, TextError
from openbark.longform.join import Placed, SpokenPiece, join_pieces
from openbark.longform.options import LongFormOptions, Pauses
from openbark.longform.plan import Plan, plan_script, plan_text
from openbark.longform.run import LongForm, piece_seed
from openbark.longform.scoring import (
    Attempt,
    DefaultScorer,
    Score,
)
from openbark.longform.voices import blended_voice, spoken_voice, waits_for
from openbark.params import SUNO_PARAMS
from openbark.stages.semantic import StopReason
from openbark.text.scripts.read import parse_script
from openbark.voices.voice import Voice


class Fair:
    """A scorer that finds everything good."""

    def score(self, attempt: Attempt) -> Score:
        return Score(1.0)


def speak(
    engine: ToneEngine,
    plan: Plan,
    options: LongFormOptions = ANY,
    seed: int = 5,
    scorer: object = None,
    **settings: object,
) -> list[SpokenPiece]:
    run = LongForm(engine, plan, SUNO_PARAMS, seed, options, scorer or Fair(), **settings)  # type: ignore[arg-type]
    return list(run.pieces())


def plan(options: LongFormOptions = ANY, given: Voice | None = None, text: str = TEXT) -> Plan:
    return plan_text(text, encode, given, CONFIG, options)


def test_seeds_follow_from_the_seed_and_the_place_alone() -> None:
    seeds = {piece_seed(9, index, attempt) for index in range(50) for attempt in range(4)}
    assert len(seeds) == 200
    assert piece_seed(9, 0, 0) == 9
    assert piece_seed(2**64 - 1, 3, 1) < 2**64
    assert piece_seed(9, 1, 0) != piece_seed(9 + 2**32, 1, 0)


def test_same_seed_same_pieces_however_much_is_in_the_works() -> None:
    results = []
    for ahead, room in ((1, 100), (3, 1), (8, 100)):
        engine = ToneEngine(room=room)
        options = dataclasses.replace(ANY, ahead=ahead, best_of=2, policy="hybrid", anchor_every=2)
        pieces = speak(engine, plan(options, voice()), options)
        assert engine.most_waiting <= min(room, 2 * ahead)
        results.append([(each.seed, each.voice, each.result.semantic[0]) for each in pieces])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("policy", "given", "waits"),
    [
        ("anchor", True, [None, None, None, None, None]),
        ("anchor", False, [None, 0, 0, 0, 0]),
        ("chain", True, [None, 0, 1, 2, 3]),
        ("hybrid", True, [None, 0, None, 2, None]),
        ("hybrid", False, [None, 0, 0, 2, 0]),
    ],
)
def test_what_a_piece_waits_for(policy: str, given: bool, waits: list[int | None]) -> None:
    options = dataclasses.replace(ANY, policy=policy, anchor_every=2)
    assert [waits_for(options, ordinal, given) for ordinal in range(5)] == waits


def test_anchored_pieces_all_have_the_given_voice_and_run_together() -> None:
    engine = ToneEngine()
    options = dataclasses.replace(ANY, policy="anchor")
    speak(engine, plan(options, given := voice()), options)
    assert all(handle.request.voice is given for handle in engine.handles)
    assert engine.most_waiting == 5


def test_anchored_pieces_without_a_voice_hold_on_to_the_first() -> None:
    engine = ToneEngine()
    options = dataclasses.replace(ANY, policy="anchor")
    speak(engine, plan(options), options)
    first, *others = [handle.request for handle in engine.handles]
    assert first.voice is None
    assert all(request.voice is others[0].voice is not None for request in others)
    assert others[0].voice.semantic[0] == first.seed % 50
    assert engine.most_waiting == 4


def test_a_chain_continues_from_the_piece_before() -> None:
    engine = ToneEngine()
    options = dataclasses.replace(ANY, policy="chain")
    speak(engine, plan(options, voice()), options)
    requests = [handle.request for handle in engine.handles]
    for before, after in itertools.pairwise(requests):
        assert after.voice is not None
        assert set(after.voice.semantic) == {before.seed % 50}
    assert engine.most_waiting == 1


def test_a_hybrid_ends_with_the_piece_before_and_starts_anew() -> None:
    engine = ToneEngine()
    options = dataclasses.replace(ANY, policy="hybrid", anchor_every=3)
    given = voice(7)
    speak(engine, plan(options, given), options)
    by_seed = {handle.request.seed: handle.request for handle in engine.handles}
    requests = [by_seed[piece_seed(5, index, 0)] for index in range(5)]
    assert requests[0].voice is requests[3].voice is given
    for index in (1, 2, 4):
        blended = requests[index].voice
        assert blended is not None
        assert blended.semantic[0] == 7
        assert blended.semantic[-1] == requests[index - 1].seed % 50


def test_a_blend_shows_every_stage_both_voices() -> None:
    """S31, S37, S38: what a stage reads is the end of a history."""
    blended = blended_voice(voice(7), voice(3), CONFIG)
    blended.validate(CONFIG)
    coarse_frames = CONFIG.coarse_rules.max_history // CONFIG.coarse_rules.n_codebooks
    for tail in (
        blended.semantic[-CONFIG.semantic_rules.max_text_tokens :],
        blended.coarse[0, -coarse_frames:],
        blended.fine[0, -CONFIG.fine_rules.max_history :],
    ):
        assert tail[-1] == 3
        assert tail[0] == 7


def test_speech_too_short_for_a_voice_leaves_the_one_before() -> None:
    result = spoken(Request(np.zeros(1, int), SUNO_PARAMS, 1))
    assert spoken_voice(result.semantic, result.coarse, result.fine, 0.0, CONFIG) is None
    made = spoken_voice(result.semantic, result.coarse, result.fine, 1.0, CONFIG)
    assert made is not None
    assert len(made.semantic) == 50
    short = dataclasses.replace(result, waveform=np.zeros(10, np.float32))
    engine = ToneEngine(speak=lambda request: short)
    options = dataclasses.replace(ANY, policy="chain", keep_seconds=None)
    speak(engine, plan(options, given := voice()), options)
    assert all(handle.request.voice is given for handle in engine.handles)


def fails_first(
    n_failures: int, bad: CascadeResult | Exception
) -> Callable[[Request], CascadeResult]:
    """The first attempts at the second piece go wrong."""
    wrong = {piece_seed(5, 1, attempt) for attempt in range(n_failures)}

    def answer(request: Request) -> CascadeResult:
        if request.seed not in wrong:
            return spoken(request)
        if isinstance(bad, Exception):
            raise bad
        return bad

    return answer


RUNAWAY = dataclasses.replace(
    spoken(Request(np.zeros(1, int), SUNO_PARAMS, 1)),
    waveform=tone(0.4, silence=1.4),
    stop_reason=StopReason.MAX_TOKENS,
)


def test_a_piece_that_ran_away_is_made_again_and_says_why() -> None:
    options = dataclasses.replace(ANY, retries=2)
    engine = ToneEngine(speak=fails_first(1, RUNAWAY))
    pieces = speak(engine, plan(options, voice()), options, scorer=DefaultScorer())
    assert [len(piece.attempts) for piece in pieces] == [1, 2, 1, 1, 1]
    first, second = pieces[1].attempts
    assert first.faults == ("it came to no end", "1.4 s of silence at its end")
    assert (first.seed, second.seed) == (piece_seed(5, 1, 0), piece_seed(5, 1, 1))
    assert pieces[1].seed == second.seed
    assert second.faults == ()


def test_the_best_is_kept_when_every_attempt_ran_away() -> None:
    options = dataclasses.replace(ANY, retries=1)
    engine = ToneEngine(speak=fails_first(9, RUNAWAY))
    pieces = speak(engine, plan(options, voice()), options, scorer=DefaultScorer())
    assert len(pieces) == 5
    assert [bool(report.faults) for report in pieces[1].attempts] == [True, True]


def test_a_piece_that_says_nothing_is_never_lost() -> None:
    silent = TextError("the model ended before it said anything")
    engine = ToneEngine(speak=fails_first(2, silent))
    pieces = speak(engine, plan(ANY, voice()), ANY)
    assert [report.stop_reason for report in pieces[1].attempts] == [None, None, StopReason.EOS]
    with pytest.raises(TextError, match=r"said nothing of 'Five six seven\.' in 3 attempts"):
        speak(ToneEngine(speak=fails_first(9, silent)), plan(ANY, voice()), ANY)


def test_best_of_keeps_the_highest_score() -> None:
    class BySeed:
        def score(self, attempt: Attempt) -> Score:
            return Score(len(attempt.waveform) / 1e6)

    def answer(request: Request) -> CascadeResult:
        return dataclasses.replace(spoken(request), waveform=tone(1 + request.seed % 97 / 100))

    options = dataclasses.replace(ANY, best_of=3)
    engine = ToneEngine(speak=answer)
    for piece in speak(engine, plan(options, voice()), options, scorer=BySeed()):
        assert len(piece.attempts) == 3
        assert piece.seed % 97 == max(report.seed % 97 for report in piece.attempts)
    assert len(engine.backend.decoded) == 1


def test_other_errors_come_through_and_stop_everything() -> None:
    engine = ToneEngine(speak=fails_first(1, RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        speak(engine, plan(ANY, voice()))
    assert not engine.queue


def test_cancel_stops_what_is_in_the_works() -> None:
    engine = ToneEngine()
    looks = iter([False, False, False, True])
    with pytest.raises(CancelledError):
        speak(engine, plan(ANY, voice()), cancel=lambda: next(looks))
    assert not engine.queue


def test_leaving_a_stream_stops_what_is_in_the_works() -> None:
    engine = ToneEngine()
    pieces = LongForm(engine, plan(ANY, voice()), SUNO_PARAMS, 1, ANY, Fair(), eager=False).pieces()
    next(pieces)
    assert engine.queue
    pieces.close()
    assert not engine.queue


def test_an_engine_full_of_others_is_an_error_not_a_wait_for_ever() -> None:
    with pytest.raises(BusyError):
        speak(ToneEngine(room=0), plan(ANY, voice()))


def test_a_thousand_pieces_hold_no_more_than_ahead() -> None:
    engine = ToneEngine()
    options = dataclasses.replace(ANY, policy="chain", ahead=4)
    run = LongForm(engine, plan(options, text="One two. " * 1000), SUNO_PARAMS, 1, options, Fair())
    count = 0
    for _ in run.pieces():
        count += 1
        assert len(run._rows) <= 4
    assert count == 1000
    last = run._last_of_role[None]
    assert last.previous is None
    assert last.kept is None
    assert last.tries == []


def placed(engine: ToneEngine, of: Plan, options: LongFormOptions = ANY) -> list[Placed]:
    run = LongForm(engine, of, SUNO_PARAMS, 5, options, Fair())
    return list(join_pieces(run.pieces(), of, SAMPLE_RATE, options))


def test_N10_seams_have_no_jump_and_pauses_their_length() -> None:
    options = dataclasses.replace(ANY, keep_seconds=0.0, pauses=Pauses(0.1, 0.25, 0.5))
    blocks = placed(ToneEngine(), plan(options, voice()), options)
    whole = np.concatenate([each.block for each in blocks])
    assert np.abs(np.diff(whole)).max() < 0.1
    segments = [each for each in blocks if each.spoken]
    gaps = [
        (after.first_sample - before.end_sample) / SAMPLE_RATE
        for before, after in itertools.pairwise(segments)
    ]
    assert gaps == pytest.approx([0.25, 0.25, 0.25, 0.5], abs=0.011)
    for each in segments:
        speech = whole[each.first_sample : each.end_sample]
        assert len(speech) == pytest.approx(1.6 * SAMPLE_RATE, abs=500)


def test_trimming_keeps_what_it_is_told() -> None:
    options = dataclasses.replace(ANY, keep_seconds=0.15)
    piece = speak(ToneEngine(), plan(options, voice()), options)[0]
    assert piece.first == pytest.approx(0.15 * SAMPLE_RATE, abs=2)
    untrimmed = dataclasses.replace(ANY, keep_seconds=None)
    whole = speak(ToneEngine(), plan(untrimmed, voice()), untrimmed)[0]
    assert len(whole.waveform) == len(tone(1.6))


def test_scripts_pause_change_voice_and_speed() -> None:
    source = "[pause:0.5s]\nA: One two.[pause:700ms]\nB: Three four.\nA: Five six.[pause:1s]"
    cast = {"A": voice(1), "B": voice(2)}
    items = parse_script(source, speakers=tuple(cast))
    of = plan_script(items, encode, lambda s: (s.speaker, cast[s.speaker or ""]), CONFIG, ANY)
    assert of.lead == 0.5
    assert [piece.pause for piece in of.pieces] == [0.7, 0.3, 1.0]
    engine = ToneEngine()
    blocks = placed(engine, of, dataclasses.replace(ANY, policy="anchor"))
    voices = [each.spoken.voice for each in blocks if each.spoken]
    assert voices == ["v1", "v2", "v1"]
    whole = np.concatenate([each.block for each in blocks])
    assert not whole[: int(0.5 * SAMPLE_RATE)].any()
    assert not whole[-SAMPLE_RATE:].any()


def test_consecutive_pauses_add_up() -> None:
    items = parse_script("One.[pause:1s][pause:500ms] Two.")
    of = plan_script(items, encode, lambda _: (None, None), CONFIG, ANY)
    assert [piece.pause for piece in of.pieces] == [1.5, 0.0]


def test_faster_pieces_are_shorter() -> None:
    items = parse_script("<speak>One two.<prosody rate='2'>Three four.</prosody></speak>")
    of = plan_script(items, encode, lambda _: (None, voice()), CONFIG, ANY)
    slow, fast = speak(ToneEngine(), of)
    assert len(fast.waveform) == pytest.approx(len(slow.waveform) / 2, abs=2)
    assert fast.last - fast.first == pytest.approx((slow.last - slow.first) / 2, abs=2)


def test_subtitles_begin_at_their_times_and_overruns_are_told() -> None:
    source = (
        "1\n00:00:01,000 --> 00:00:02,000\nOne two.\n\n2\n00:00:02,000 --> 00:00:09,000\nThree four.\n"
        "\n3\n00:00:08,000 --> 00:00:12,000\nFive six.\n"
    )
    options = dataclasses.replace(ANY, keep_seconds=0.0)
    of = plan_script(
        parse_script(source, "srt"), encode, lambda _: (None, voice()), CONFIG, options
    )
    first, late, third = [each for each in placed(ToneEngine(), of, options) if each.spoken]
    assert first.first_sample == SAMPLE_RATE
    assert first.overrun_seconds == pytest.approx(0.6, abs=0.02)
    assert late.late_seconds == pytest.approx(0.9, abs=0.02)
    assert late.overrun_seconds == 0.0
    assert third.first_sample == 8 * SAMPLE_RATE
    assert third.late_seconds == 0.0

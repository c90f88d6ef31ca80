"""The three stage tasks: prompts as at inference, four clips learnt by heart, exact resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openbark.backends.torch.fine import FineGPT
from openbark.backends.torch.gpt import CausalGPT, initialise
from openbark.config import BarkConfig
from openbark.errors import TrainingError
from openbark.stages.coarse import coarse_context, coarse_ids, coarse_window_prompt
from openbark.stages.semantic import semantic_prompt
from openbark.training.batching import LengthBuckets, VoicePool, step_rng
from openbark.training.coarse import CoarseOptions, CoarseTask
from openbark.training.data import Utterance
from openbark.training.fine import FineOptions, FineTask
from openbark.training.loop import FitOptions, Task, fit
from openbark.training.semantic import (
    IGNORED,
    SemanticOptions,
    SemanticTask,
    guided_attention_loss,
)

CONFIG = BarkConfig.tiny()
N_CLIPS = 4


def _clips(seed: int = 0) -> list[Utterance]:
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(N_CLIPS):
        n_semantic = 14 + 2 * index
        n_frames = int(n_semantic * CONFIG.frames_per_semantic)
        clips.append(
            Utterance(
                key=f"clip-{index}",
                text="abcd"[index] * (5 + index),
                speaker="ann" if index % 2 else "bob",
                semantic=rng.integers(0, 100, n_semantic).astype(np.int16),
                guide=np.arange(n_semantic, dtype=np.int16) % (5 + index),
                codes=rng.integers(0, 32, (8, n_frames)).astype(np.int16),
            )
        )
    return clips


def _encode(text: str) -> np.ndarray:
    return np.array([ord(character) - ord("a") for character in text], dtype=np.int64)


def _gpt(config: object, seed: int = 0) -> CausalGPT:
    model = CausalGPT(config)  # type: ignore[arg-type]
    initialise(model, 2, torch.Generator().manual_seed(seed), std=0.1)
    return model


def _semantic_task(options: SemanticOptions) -> SemanticTask:
    return SemanticTask(_gpt(CONFIG.semantic), CONFIG, _encode, _clips(), _clips(), options)


def _coarse_task(options: CoarseOptions) -> CoarseTask:
    return CoarseTask(_gpt(CONFIG.coarse), CONFIG, _clips(), _clips(), options)


def _fine_task(options: FineOptions) -> FineTask:
    model = FineGPT(CONFIG.fine)
    initialise(model, 2, torch.Generator().manual_seed(0), std=0.1)
    return FineTask(model, CONFIG, _clips(), _clips(), options)


def _train(task: Task, directory: Path, steps: int, lr: float = 1e-2) -> dict[str, float]:
    options = FitOptions(
        steps,
        lr,
        warmup=10,
        weight_decay=0.0,
        precision="fp32",
        validate_every=steps,
        checkpoint_every=steps,
        log_every=steps,
        threads=1,
    )
    return fit(task, options, directory).metrics


def test_semantic_examples_are_inference_prompts() -> None:
    task = _semantic_task(SemanticOptions(tokens_per_batch=64, voice_share=1.0, noise=0.0))
    rules = CONFIG.semantic_rules
    by_text = {clip.text: clip for clip in _clips()}
    histories = {clip.semantic[-16:].astype(np.int64).tobytes() for clip in _clips()}
    batch = task.batch(3, 0, 1)
    n_prompt = rules.max_text_tokens + 1
    for ids, summed, targets in zip(batch.ids, batch.summed, batch.targets, strict=True):
        text = "".join(
            chr(ord("a") + int(t) - rules.text_encoding_offset)
            for t in ids[: n_prompt - 1]
            if t != rules.text_pad_token
        )
        clip = by_text[text]
        expected = semantic_prompt(_encode(text), None, rules)
        assert ids[:n_prompt].tolist() == expected.ids.tolist()
        tokens = clip.semantic.tolist()
        assert ids[n_prompt : n_prompt + len(tokens)].tolist() == tokens
        assert targets[: len(tokens) + 1].tolist() == [*tokens, rules.eos_token]
        assert set(targets[len(tokens) + 1 :].tolist()) <= {IGNORED}
        history = summed.numpy()
        assert (history == rules.semantic_pad_token).all() or any(
            history[: len(np.frombuffer(h, np.int64))].tobytes() == h for h in histories
        )


def test_coarse_examples_are_inference_windows() -> None:
    task = _coarse_task(CoarseOptions(batch_size=24, voice_share=1.0, noise=0.0))
    windows = set()
    for clip in _clips():
        ids = coarse_ids(clip.codes[:2].astype(np.int64), CONFIG)
        others = [None, *(c for c in _clips() if c.speaker == clip.speaker and c.key != clip.key)]
        for voice in others:
            context = (
                coarse_context(clip.semantic, None, None, CONFIG)
                if voice is None
                else coarse_context(clip.semantic, voice.semantic, voice.codes[:2], CONFIG)
            )
            for start in range(0, len(ids), CONFIG.coarse_rules.sliding_window):
                prompt = coarse_window_prompt(context, ids[:start], CONFIG).ids
                new = ids[start : start + CONFIG.coarse_rules.sliding_window]
                windows.add(tuple(np.concatenate([prompt, new]).tolist()))
    head = CONFIG.coarse_rules.max_semantic_input
    batch = task.batch(0, 0, 1)
    for ids, targets in zip(batch.ids, batch.targets, strict=True):
        known = targets[targets != IGNORED].tolist()
        assert (*ids[: head + 1].tolist(), *known) in windows
        assert ids[head + 1 : head + len(known)].tolist() == known[:-1]


def test_coarse_guide_points_at_the_semantic_token_of_the_frame() -> None:
    task = _coarse_task(CoarseOptions(batch_size=16, voice_share=0.0, noise=0.0))
    by_semantic = {int(clip.semantic[0]): clip for clip in _clips()}
    batch = task.batch(1, 0, 1)
    checked = 0
    for ids, guide in zip(batch.ids, batch.guide, strict=True):
        clip = by_semantic.get(int(ids[0]))
        if clip is None:
            continue
        for position, slot in enumerate(guide.tolist()):
            if slot >= 0:
                frame = position // CONFIG.coarse_rules.n_codebooks
                seconds = frame / CONFIG.coarse_rules.rate_hz
                assert abs(slot / CONFIG.semantic_rules.rate_hz - seconds) < 0.021
                checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (
            lambda: _semantic_task(
                SemanticOptions(tokens_per_batch=160, voice_share=0.0, noise=0.0)
            ),
            300,
        ),
        (lambda: _coarse_task(CoarseOptions(batch_size=8, voice_share=0.0, noise=0.0)), 400),
        (lambda: _fine_task(FineOptions(batch_size=8, voice_share=0.0, noise=0.0)), 600),
    ],
    ids=["semantic", "coarse", "fine"],
)
def test_overfits_four_clips(make: object, steps: int, tmp_path: Path) -> None:
    task: Task = make()  # type: ignore[operator]
    metrics = _train(task, tmp_path, steps)
    assert metrics["loss"] < 0.1, metrics


def test_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    options = SemanticOptions(tokens_per_batch=100)
    whole = _semantic_task(options)
    _train(whole, tmp_path / "whole", 12)

    class KilledError(Exception):
        pass

    def kill(step: int, _: dict[str, float]) -> None:
        if step == 7:
            raise KilledError

    settings = FitOptions(
        12, 1e-2, warmup=10, weight_decay=0.0, precision="fp32", log_every=1, checkpoint_every=3,
        validate_every=12, threads=1,
    )  # fmt: skip
    with pytest.raises(KilledError):
        fit(_semantic_task(options), settings, tmp_path / "killed", progress=kill)
    resumed = _semantic_task(options)
    fit(resumed, settings, tmp_path / "killed")
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name]), name


def test_guided_attention_rewards_looking_at_the_letter() -> None:
    guide = torch.tensor([[0, 1, -1]])
    scores = torch.zeros(1, 5, 5)
    blind = guided_attention_loss(scores, guide, first_query=2)
    scores[0, 2, 0] = scores[0, 3, 1] = 8.0
    assert guided_attention_loss(scores, guide, first_query=2) < 0.1 * blind


def test_length_buckets_cover_every_utterance_each_epoch() -> None:
    lengths = list(range(10, 60))
    buckets = LengthBuckets(lengths, budget=120, seed=3)
    seen: list[int] = []
    number = 0
    while len(seen) < len(lengths):
        batch = buckets.batch(number)
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= 120
        seen.extend(batch.tolist())
        number += 1
    assert sorted(seen) == list(range(len(lengths)))
    again = LengthBuckets(lengths, budget=120, seed=3)
    assert again.batch(number + 5).tolist() == buckets.batch(number + 5).tolist()


def test_voice_pool_never_crosses_speakers_or_repeats_the_utterance() -> None:
    clips = _clips()
    pool = VoicePool(clips, share=1.0)
    clip = clips[0]
    drawn = [pool.history(clip, step_rng(0, step)) for step in range(50)]
    voices = [voice for voice in drawn if voice is not None]
    assert voices
    assert {voice.speaker for voice in voices} == {clip.speaker}
    assert clip.key not in {voice.key for voice in voices}


def test_a_history_that_must_be_long_is_joined_from_utterances_of_the_speaker() -> None:
    clips = _clips()  # The speaker of the first has one other.
    clip, other = clips[0], clips[2]
    assert other.semantic is not None and other.codes is not None
    pool = VoicePool(clips, 1.0, least_tokens=len(other.semantic) + 1)
    voice = pool.history(clip, step_rng(0, 0))
    assert voice is not None and voice.semantic is not None and voice.codes is not None
    np.testing.assert_array_equal(voice.semantic, np.tile(other.semantic, 2))
    np.testing.assert_array_equal(voice.codes, np.tile(other.codes, 2))
    assert voice.speaker == clip.speaker
    assert VoicePool(clips[:1], 1.0, least_tokens=1).history(clip, step_rng(0, 0)) is None


def test_empty_or_untokenised_data_is_named() -> None:
    bare = [Utterance(key="x", text="abc", speaker="ann")]
    with pytest.raises(TrainingError, match="no utterance that fits"):
        SemanticTask(_gpt(CONFIG.semantic), CONFIG, _encode, bare, bare, SemanticOptions())
    with pytest.raises(TrainingError, match="train prepare"):
        CoarseTask(_gpt(CONFIG.coarse), CONFIG, bare, bare, CoarseOptions())


def test_texts_and_voices_do_not_depend_on_names() -> None:
    clips = [replace(clip, key="0001") for clip in _clips()]
    task = SemanticTask(
        _gpt(CONFIG.semantic), CONFIG, _encode, clips, clips, SemanticOptions(voice_share=1.0)
    )
    for clip in clips:
        assert task._text[clip.text].tolist() == _encode(clip.text).tolist()
    pool = VoicePool(clips, 1.0)
    found = [pool.history(clips[0], step_rng(0, step)) for step in range(20)]
    assert any(each is clips[2] for each in found)
    assert not any(each is clips[0] for each in found)


def test_a_speaker_of_the_validation_set_alone_has_no_voice() -> None:
    pool = VoicePool(_clips(), 1.0)
    assert pool.history(replace(_clips()[0], speaker="carl"), step_rng(0, 0)) is None


def test_the_fine_stage_is_validated_over_the_whole_split() -> None:
    clips = [replace(_clips(seed)[0], key=str(seed)) for seed in range(60)]
    model = FineGPT(CONFIG.fine)
    task = FineTask(model, CONFIG, clips, clips, FineOptions())
    chosen = clips[:: task._valid_stride]
    assert len(chosen) <= 24 and int(chosen[-1].key) > 50

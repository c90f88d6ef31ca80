from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from openbark.config import BarkConfig
from openbark.engine.cascade import run
from openbark.engine.request import STAGES, CascadeResult, Request
from openbark.errors import CancelledError, ParamError, TextError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.stages.reference import reference_coarse, reference_fine, reference_semantic
from openbark.stages.sampling import Noise, Stage
from openbark.stages.semantic import Prompt, StopReason
from openbark.voices.voice import Voice

if TYPE_CHECKING:
    from openbark.backends.torch.backend import TorchBackend

TEXT = np.array([5, 9, 2, 40, 7], dtype=np.int64)


def voice(config: BarkConfig, n_semantic: int = 30, seed: int = 3) -> Voice:
    generator = np.random.default_rng(seed)
    fine = generator.integers(0, config.codebook_size, (8, int(n_semantic * 75 / 49.9)))
    semantic = generator.integers(0, config.semantic_rules.semantic_vocab_size, n_semantic)
    made = Voice(semantic=semantic, coarse=fine[:2], fine=fine, name="test")
    made.validate(config)
    return made


def params(sampling: SamplingParams, **limits: object) -> GenerationParams:
    rest = SamplingParams(sampling.temperature, sampling.top_k, sampling.top_p)
    return GenerationParams(sampling, rest, rest, **limits)  # type: ignore[arg-type]


SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=0.0, min_eos_p=None),
    SamplingParams(temperature=1.5, min_eos_p=None),
    SamplingParams(temperature=0.9, top_k=1),
    SamplingParams(temperature=1.0, top_k=7),
    SamplingParams(temperature=1.0, top_p=0.5),
    SamplingParams(temperature=1.2, top_k=12, top_p=0.9, min_eos_p=0.01),
    SamplingParams(temperature=0.8, min_eos_p=0.004),
]


@pytest.mark.parametrize("with_voice", [False, True])
@pytest.mark.parametrize("sampling", SETTINGS, ids=range(len(SETTINGS)))
def test_cached_cascade_equals_the_reference_loop(
    tiny_backend: TorchBackend, sampling: SamplingParams, with_voice: bool
) -> None:
    asked = params(sampling, max_semantic_tokens=20)
    given = voice(tiny_backend.config) if with_voice else None
    noise = Noise(11)
    semantic, reason = reference_semantic(
        tiny_backend, TEXT, given.semantic if given else None, asked, noise
    )
    if len(semantic) == 0:
        with pytest.raises(TextError, match="seed 11"):
            run(tiny_backend, Request(TEXT, asked, 11, given))
        return
    coarse = reference_coarse(
        tiny_backend,
        semantic,
        given.semantic if given else None,
        given.coarse if given else None,
        asked,
        noise,
    )
    fine = reference_fine(tiny_backend, coarse, given.fine if given else None, asked, noise)
    found = run(tiny_backend, Request(TEXT, asked, 11, given))
    assert np.array_equal(found.semantic, semantic)
    assert np.array_equal(found.coarse, coarse)
    assert np.array_equal(found.fine, fine)
    assert found.stop_reason == reason
    assert np.array_equal(found.waveform, tiny_backend.codec_decode(fine))


@pytest.mark.parametrize("n_semantic", [12, 16, 23, 60])
def test_voices_of_every_length_agree_with_the_reference(
    tiny_backend: TorchBackend, n_semantic: int
) -> None:
    given = voice(tiny_backend.config, n_semantic)
    asked = params(SamplingParams(min_eos_p=None), allow_early_stop=False)
    noise = Noise(5)
    semantic, _ = reference_semantic(tiny_backend, TEXT, given.semantic, asked, noise)
    coarse = reference_coarse(tiny_backend, semantic, given.semantic, given.coarse, asked, noise)
    fine = reference_fine(tiny_backend, coarse, given.fine, asked, noise)
    found = run(tiny_backend, Request(TEXT, asked, 5, given))
    assert len(found.semantic) == tiny_backend.config.semantic_rules.max_new_tokens
    assert np.array_equal(found.fine, fine)


def test_N6_same_seed_same_result_and_another_seed_another(tiny_backend: TorchBackend) -> None:
    def generate(seed: int) -> CascadeResult:
        asked = params(SamplingParams(min_eos_p=None), allow_early_stop=False)
        return run(tiny_backend, Request(TEXT, asked, seed))

    first, second, other = generate(1), generate(1), generate(2)
    assert np.array_equal(first.waveform, second.waveform)
    assert not np.array_equal(first.semantic, other.semantic)


@pytest.mark.parametrize(
    ("limits", "n_tokens", "reason"),
    [
        ({"max_semantic_tokens": 1}, 1, StopReason.MAX_TOKENS),
        ({"max_semantic_tokens": 7}, 7, StopReason.MAX_TOKENS),
        ({"max_semantic_seconds": 0.1}, 5, StopReason.MAX_SECONDS),
        ({}, 40, StopReason.MAX_TOKENS),
    ],
)
def test_limits(
    tiny_backend: TorchBackend, limits: dict[str, object], n_tokens: int, reason: StopReason
) -> None:
    asked = params(SamplingParams(), allow_early_stop=False, **limits)
    found = run(tiny_backend, Request(TEXT, asked, 0))
    assert len(found.semantic) == n_tokens
    assert found.stop_reason == reason
    n_frames = int(n_tokens * 75 / 49.9)
    assert found.coarse.shape == (2, n_frames)
    assert found.fine.shape == (8, n_frames)
    assert found.waveform.shape == (n_frames * 320,)
    assert found.waveform.dtype == np.float32


class Silent:
    """A backend whose end token always wins."""

    def __init__(self, backend: TorchBackend) -> None:
        self.config = backend.config

    def session(self, stage: Stage) -> Silent:
        return self

    def prefill(self, prompt: Prompt) -> np.ndarray:
        logits = np.zeros(self.config.semantic.output_vocab_size)
        logits[self.config.semantic_rules.eos_token] = 50.0
        return logits


def test_a_model_that_ends_at_once_is_a_typed_error(tiny_backend: TorchBackend) -> None:
    with pytest.raises(TextError, match=r"seed 4.*another seed"):
        run(Silent(tiny_backend), Request(TEXT, SUNO_PARAMS, 4))  # type: ignore[arg-type]


def test_text_over_the_limit_is_refused_with_the_numbers(tiny_backend: TorchBackend) -> None:
    with pytest.raises(TextError, match="17 tokens long, this model takes at most 16"):
        run(tiny_backend, Request(np.zeros(17, dtype=np.int64), SUNO_PARAMS, 0))


def test_unresolved_params_are_refused(tiny_backend: TorchBackend) -> None:
    with pytest.raises(ParamError, match="resolve"):
        run(tiny_backend, Request(TEXT, GenerationParams(), 0))


def test_N12_progress_counts_seconds_of_audio_in_every_stage(tiny_backend: TorchBackend) -> None:
    calls: list[tuple[str, float, float | None]] = []
    asked = params(SamplingParams(), allow_early_stop=False)
    found = run(tiny_backend, Request(TEXT, asked, 0, progress=lambda *call: calls.append(call)))
    assert tuple(dict.fromkeys(stage for stage, _, _ in calls)) == STAGES
    total = found.fine.shape[1] / 75
    for stage in STAGES:
        done = [call[1] for call in calls if call[0] == stage]
        assert done == sorted(done)
        assert done[-1] == pytest.approx(total, abs=0.03)
        totals = {call[2] for call in calls if call[0] == stage}
        assert totals == ({None} if stage == "semantic" else {total})


def test_N9_timings_name_every_stage(tiny_backend: TorchBackend) -> None:
    asked = params(SamplingParams(), allow_early_stop=False, max_semantic_tokens=3)
    found = run(tiny_backend, Request(TEXT, asked, 0))
    assert tuple(found.timings) == STAGES
    assert all(seconds >= 0 for seconds in found.timings.values())
    assert found.n_text_tokens == len(TEXT)


def test_N11_cancel_is_asked_before_every_step(tiny_backend: TorchBackend) -> None:
    asked = params(SamplingParams(), allow_early_stop=False, max_semantic_tokens=3)
    n_read, n_tokens, n_coarse, n_fine, n_codec = 1, 3, 8, 6, 1
    steps_done: list[str] = []
    for allowed in range(2 * n_read + n_tokens + n_coarse + n_fine + n_codec):
        answers = iter([False] * allowed + [True])
        seen: list[str] = []
        with pytest.raises(CancelledError):
            run(
                tiny_backend,
                Request(
                    TEXT,
                    asked,
                    0,
                    cancel=answers.__next__,
                    progress=lambda stage, done, total, seen=seen: seen.append(stage),
                ),
            )
        steps_done.append(seen[-1] if seen else "none")
    assert steps_done == (
        ["none"] * (n_read + 1) + ["semantic"] * (n_tokens - 1)
        + ["semantic"] * (n_read + 1) + ["coarse"] * (n_coarse - 1)
        + ["coarse"] * n_fine + ["fine"] * n_codec
    )  # fmt: skip


def test_a_set_event_cancels(tiny_backend: TorchBackend) -> None:
    event = threading.Event()
    run(
        tiny_backend,
        Request(TEXT, params(SamplingParams(), max_semantic_tokens=2), 1, cancel=event),
    )
    event.set()
    with pytest.raises(CancelledError):
        run(tiny_backend, Request(TEXT, SUNO_PARAMS, 0, cancel=event))

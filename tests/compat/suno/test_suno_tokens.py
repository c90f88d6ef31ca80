"""Same weights, same torch seed, same tokens as Suno's loops (S30-S38, B6)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import suno_oracle  # noqa: E402
from suno_models import narrow_suno, voice_arrays  # noqa: E402
from suno_oracle import Draw  # noqa: E402

from openbark.errors import VoiceError  # noqa: E402
from openbark.stages.sampling import Stage  # noqa: E402
from openbark.stages.semantic import Prompt  # noqa: E402

TEXT = "Hello there, this is a test."
DRAWS = [(0.7, None, None), (1.3, 50, None), (0.7, None, 0.9), (0.9, 40, 0.8), (0.7, 1, None)]
"""temperature, top_k, top_p; a top_k of 1 is how Suno's code is made greedy."""


def causal(generation: ModuleType, name: str) -> suno_oracle.Causal:
    backend = generation._stage(name).bark.backend
    stage = Stage.SEMANTIC if name == "text" else Stage.COARSE
    return lambda ids, summed: backend.causal_logits(stage, Prompt(ids, summed))


def voice(n_semantic: int | None) -> dict[str, np.ndarray] | None:
    return None if n_semantic is None else voice_arrays(narrow_suno(), n_semantic)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("n_voice", [None, 300])
def test_S33_B4_B5_B6_semantic_tokens_of_a_seed(
    generation: ModuleType, draw: tuple[float, int | None, float | None], n_voice: int | None
) -> None:
    temp, top_k, top_p = draw
    ids = generation._tokenize(generation._stage("text").bark.tokenizer, TEXT)
    history = voice(n_voice)
    torch.manual_seed(3)
    expected = suno_oracle.semantic(
        causal(generation, "text"),
        ids,
        None if history is None else history["semantic_prompt"],
        Draw(temp, top_k, top_p),
        min_eos_p=0.2,
        max_seconds=0.5,
    )
    torch.manual_seed(3)
    found = generation.generate_text_semantic(
        TEXT, history, temp, top_k, top_p, silent=True, max_gen_duration_s=0.5
    )
    assert found.tolist() == expected.tolist()
    assert len(found) == 25
    if top_k == 1:
        return
    torch.manual_seed(4)
    other = generation.generate_text_semantic(
        TEXT, history, temp, silent=True, max_gen_duration_s=0.5
    )
    assert other.tolist() != found.tolist()


def test_S34_B3_an_end_token_that_is_likely_enough_stops(generation: ModuleType) -> None:
    ids = generation._tokenize(generation._stage("text").bark.tokenizer, TEXT)
    network = causal(generation, "text")
    for min_eos_p in (1e-4, 5e-5, None):
        torch.manual_seed(8)
        expected = suno_oracle.semantic(network, ids, None, Draw(0.9), min_eos_p, max_seconds=0.6)
        torch.manual_seed(8)
        found = generation.generate_text_semantic(
            TEXT, None, 0.9, silent=True, min_eos_p=min_eos_p, max_gen_duration_s=0.6
        )
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("top_k", [None, 1])
@pytest.mark.parametrize(
    ("n_semantic", "n_voice", "windows"),
    [
        (30, None, (630, 60)),
        (30, 84, (630, 60)),
        (22, 400, (100, 7)),
        (20, 2, (630, 60)),
        (1, None, (630, 60)),
    ],
    ids=["plain", "odd-tail", "odd-window", "one-pair", "two-codes"],
)
def test_S36_S37_B7_B9_coarse_codes_of_a_seed(
    generation: ModuleType,
    n_semantic: int,
    n_voice: int | None,
    windows: tuple[int, int],
    top_k: int | None,
) -> None:
    tokens = np.random.default_rng(1).integers(0, 10_000, n_semantic)
    history = voice(n_voice)
    torch.manual_seed(5)
    expected = suno_oracle.coarse(
        causal(generation, "coarse"), tokens, history, Draw(0.7, top_k), *windows
    )
    torch.manual_seed(5)
    found = generation.generate_coarse(
        tokens,
        history,
        top_k=top_k,
        silent=True,
        max_coarse_history=windows[0],
        sliding_window_len=windows[1],
    )
    assert found.tolist() == expected.tolist()
    assert found.shape[0] == 2


@pytest.mark.parametrize(
    ("shape", "n_voice", "temp"),
    [
        ((2, 60), None, 0.5),
        ((2, 600), 500, 0.5),
        ((6, 40), 40, None),
        ((2, 1100), None, 1.0),
        ((2, 1100), 400, None),
        ((1, 512), 350, 0.5),
        ((7, 1024), None, 0.5),
        ((7, 1025), None, None),
        ((7, 513), 350, None),
    ],
)
def test_S38_B12_fine_codes_of_a_seed(
    generation: ModuleType, shape: tuple[int, int], n_voice: int | None, temp: float | None
) -> None:
    codes = np.random.default_rng(2).integers(0, 1024, shape)
    history = voice(n_voice)
    backend = generation._stage("fine").bark.backend
    torch.manual_seed(6)
    expected = suno_oracle.fine(backend.fine_logits, codes, history, temp)
    torch.manual_seed(6)
    found = generation.generate_fine(codes, history, temp)
    assert found.tolist() == expected.tolist()
    assert found[: shape[0]].tolist() == codes.tolist()


def test_S33_one_generator_in_the_order_of_the_stages(generation: ModuleType) -> None:
    from bark import semantic_to_waveform

    tokens = np.random.default_rng(1).integers(0, 10_000, 20)
    torch.manual_seed(7)
    coarse = suno_oracle.coarse(causal(generation, "coarse"), tokens, None, Draw(0.6))
    fine = suno_oracle.fine(generation._stage("fine").bark.backend.fine_logits, coarse, None, 0.5)
    torch.manual_seed(7)
    full, waveform = semantic_to_waveform(tokens, temp=0.6, silent=True, output_full=True)
    assert full["fine_prompt"].tolist() == fine.tolist()
    assert np.array_equal(waveform, generation.codec_decode(fine))


def test_loading_draws_nothing(generation: ModuleType) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    generation.preload_models()
    assert torch.equal(torch.get_rng_state(), state)


def test_S42_B13_temperature_zero_is_greedy(generation: ModuleType) -> None:
    codes = np.random.default_rng(2).integers(0, 1024, (7, 20))
    assert np.array_equal(
        generation.generate_fine(codes, temp=0), generation.generate_fine(codes, temp=None)
    )
    once = generation.generate_text_semantic(TEXT, temp=0, max_gen_duration_s=0.1, silent=True)
    twice = generation.generate_text_semantic(TEXT, top_k=1, max_gen_duration_s=0.1, silent=True)
    assert once.tolist() == twice.tolist()


def test_S32_S35_limits_of_the_semantic_stage(generation: ModuleType) -> None:
    plain = {"allow_early_stop": False, "silent": True}
    assert len(generation.generate_text_semantic(TEXT, max_gen_duration_s=1.6, **plain)) == 80
    whole = generation.generate_text_semantic(TEXT, **plain)
    assert len(whole) == 768
    assert whole.max() < generation.SEMANTIC_VOCAB_SIZE


def test_S31_B10_of_a_semantic_history_the_last_256_count(generation: ModuleType) -> None:
    """More than that changes nothing; the end token is never among the tokens."""
    long = voice_arrays(narrow_suno(), 300)
    frames = {key: long[key][:, -384:] for key in ("coarse_prompt", "fine_prompt")}
    made = []
    for history in (long, {"semantic_prompt": long["semantic_prompt"][-256:], **frames}):
        torch.manual_seed(2)
        made.append(generation.generate_text_semantic(TEXT, history, silent=True))
    assert made[0].tolist() == made[1].tolist()
    assert (made[0] < 10_000).all()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("semantic_prompt", lambda a: a + 10_000, r"semantic holds \d+, narrow has 0\.\.9999"),
        ("semantic_prompt", lambda a: a[:0], "semantic is empty"),
        ("semantic_prompt", lambda a: a[None], r"semantic has shape \[1, 40\]; it must be \[T\]"),
        (
            "semantic_prompt",
            lambda a: a[:20],
            r"60 frames for 20 semantic tokens.*narrow needs 1\.5",
        ),
        ("semantic_prompt", lambda a: a[:1], r"60 frames for 1 semantic tokens"),
        ("coarse_prompt", lambda a: a[:1], "coarse has 1 codebooks, narrow needs 2"),
        ("fine_prompt", lambda a: a + 1024, r"fine holds \d+, narrow has 0\.\.1023"),
    ],
)
def test_S31_S37_B18_a_history_that_does_not_fit_is_a_typed_error(
    generation: ModuleType, name: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    history = voice_arrays(narrow_suno(), 40)
    history[name] = change(history[name])
    with pytest.raises(VoiceError, match=message):
        generation.generate_text_semantic(TEXT, history, silent=True)


def test_S30_B16_white_space_is_squeezed_before_the_tokenizer(generation: ModuleType) -> None:
    made = []
    for text in ("a b c", " a\x0bb \n\t c\u3000"):
        torch.manual_seed(2)
        made.append(generation.generate_text_semantic(text, max_gen_duration_s=0.2, silent=True))
    assert made[0].tolist() == made[1].tolist()


def test_B20_B21_the_waveform_is_the_codec_s_and_no_pause_is_added(generation: ModuleType) -> None:
    from bark import semantic_to_waveform

    full, waveform = semantic_to_waveform(np.arange(50), silent=True, output_full=True)
    assert len(waveform) == full["fine_prompt"].shape[1] * 320
    codec = generation._stage("codec").bark.backend
    assert np.array_equal(waveform, codec.codec_decode(full["fine_prompt"]))

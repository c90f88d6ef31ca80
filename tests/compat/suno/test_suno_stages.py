"""Arguments and results of Suno's stage functions: rows S11-S13, S30 and S42 of the parity list."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import bark
from openbark.errors import ParamError, TextError
from openbark.stages.sampling import Stage
from openbark.stages.semantic import Prompt


def test_S30_B17_long_text_is_cut_with_a_warning(
    generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    torch = pytest.importorskip("torch")
    made = []
    for text in ("abcd" * 80, "abcd" * 64):
        torch.manual_seed(1)
        made.append(generation.generate_text_semantic(text, max_gen_duration_s=0.2, silent=True))
    assert made[0].dtype == np.int64
    assert made[0].tolist() == made[1].tolist()
    assert caplog.messages == ["warning, text too long, lopping of last 20.0%"]


def test_S30_empty_text_is_refused(tiny_generation: ModuleType) -> None:
    with pytest.raises(TextError, match="holds only white space"):
        bark.text_to_semantic(" \n\t ")


def test_S30_S31_a_model_with_fewer_slots_reads_long_text_in_pieces(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    """The tiny model has 16 slots; what is said before a piece is its history, a voice if there is one."""
    pytest.importorskip("torch").manual_seed(0)
    seen: list[tuple[int, int]] = []
    model = tiny_generation._stage("text").bark
    plain = model.backend.session

    class Session:
        def __init__(self) -> None:
            self.inner = plain(Stage.SEMANTIC)

        def prefill(self, prompt: Prompt) -> np.ndarray:
            rules = model.config.semantic_rules
            text = np.count_nonzero(prompt.ids[:-1] != rules.text_pad_token)
            past = np.count_nonzero(prompt.summed != rules.semantic_pad_token)
            seen.append((int(text), int(past)))
            return self.inner.prefill(prompt)

        def step(self, token: int) -> np.ndarray:
            return self.inner.step(token)

    model.backend.session = lambda stage: Session()  # type: ignore[method-assign]
    long = "Hello there. How are you? Fine, I am."
    tokens = tiny_generation.generate_text_semantic(long, temp=0.9, silent=True, min_eos_p=None)
    assert caplog.messages == []
    assert [text for text, _ in seen] == [12, 12, 11]
    assert seen[0][1] == 0
    assert seen[1][1] > 0
    assert len(tokens) > model.config.semantic_rules.max_new_tokens
    seen.clear()
    tiny_generation.generate_text_semantic(long, "en_1", silent=True)
    assert [past for _, past in seen] == [16, 16, 16]
    seen.clear()
    short = tiny_generation.generate_text_semantic(
        long, silent=True, max_gen_duration_s=0.9, allow_early_stop=False
    )
    assert len(short) == int(0.9 * 49.9) + 1
    assert len(seen) == 2


def test_S42_B11_nothing_said_is_a_typed_error(tiny_generation: ModuleType) -> None:
    with pytest.raises(TextError, match="ended before it said anything"):
        bark.semantic_to_waveform(np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda g: g.generate_coarse(np.array([100])),
            r"x_semantic holds 100..100; allowed: 0..99",
        ),
        (lambda g: g.generate_coarse(np.zeros((2, 2), dtype=int)), "with 1 dimension"),
        (
            lambda g: g.generate_coarse(np.zeros(9, dtype=int), max_coarse_history=99),
            "allowed: 36..36",
        ),
        (lambda g: g.generate_fine(np.zeros((8, 4), dtype=int)), r"allowed: \[1..7, T\]"),
        (lambda g: g.generate_fine(np.full((2, 4), 0.5)), "must be whole numbers"),
        (lambda g: g.codec_decode(np.full((2, 4), 32)), "allowed: 0..31"),
        (lambda g: g.codec_decode(np.zeros((2, 0), dtype=int)), "fine_tokens has shape"),
        (lambda g: g.generate_text_semantic("Hi.", temp=-1), "temperature is -1"),
    ],
)
def test_S11_S12_S13_arguments_are_checked(
    tiny_generation: ModuleType, call: object, message: str
) -> None:
    with pytest.raises(ParamError, match=message):
        call(tiny_generation)  # type: ignore[operator]


def test_S13_B19_two_codebooks_decode_too(tiny_generation: ModuleType) -> None:
    waveform = tiny_generation.codec_decode(np.zeros((2, 5), dtype=int))
    assert waveform.shape == (5 * 320,)
    assert waveform.dtype == np.float32

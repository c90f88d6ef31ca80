"""The model in the package: it is there, small, and speaks in every voice it names."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import openbark
from openbark.assets import embedded_directory, has_embedded
from openbark.audio import read_audio
from openbark.errors import TextError
from openbark.stages.coarse import coarse_context, coarse_window_prompt
from openbark.stages.sampling import Stage
from openbark.stages.semantic import semantic_prompt

pytestmark = pytest.mark.skipif(not has_embedded(), reason="no embedded model in this checkout")

PRESETS = ("en_0", "en_1", "en_2", "en_3")
SENTENCE = "The weather is cold today, so please close the window."


@pytest.fixture(scope="module")
def bark() -> openbark.Bark:
    return openbark.Bark.load()


def test_everything_fits_twenty_megabytes() -> None:
    files = [path for path in embedded_directory().rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < 20_000_000


def test_presets_are_there_and_fit_the_model(bark: openbark.Bark) -> None:
    assert set(PRESETS) <= set(bark.voices)
    for name in PRESETS:
        voice = bark.find_voice(name)
        assert voice is not None
        voice.validate(bark.config)
        assert len(voice.semantic) >= bark.config.max_semantic_history
        assert voice.metadata["origin"]


@pytest.mark.parametrize("voice", [*PRESETS, None])
def test_a_sentence_ends_by_itself_at_a_human_length(
    bark: openbark.Bark, voice: str | None
) -> None:
    clip = bark.generate(SENTENCE, voice=voice, seed=5)
    assert clip.stop_reason == "eos"
    assert 2.0 < len(clip.waveform) / clip.sample_rate < 6.0
    assert np.isfinite(clip.waveform).all()
    assert 0.05 < np.abs(clip.waveform).max() <= 1.0


def test_same_seed_same_clip_other_voice_other_clip(bark: openbark.Bark) -> None:
    one, again = (bark.generate("Hello there.", voice="en_0", seed=9) for _ in range(2))
    np.testing.assert_array_equal(one.waveform, again.waveform)
    other = bark.generate("Hello there.", voice="en_1", seed=9)
    assert (
        other.tokens.coarse.shape != one.tokens.coarse.shape
        or (other.tokens.coarse != one.tokens.coarse).any()
    )


def test_digits_and_tags_are_read(bark: openbark.Bark) -> None:
    assert bark.generate("It is 7 o'clock. [sighs]", voice="en_2", seed=1).stop_reason == "eos"


def test_signs_without_a_sound_are_left_out_and_foreign_letters_refused(
    bark: openbark.Bark,
) -> None:
    assert bark.generate("Hello \N{GRINNING FACE}", voice="en_0", seed=1).stop_reason == "eos"
    with pytest.raises(TextError, match="U\\+1F600"):
        bark.generate("Hello \N{GRINNING FACE}", voice="en_0", strict=True)
    with pytest.raises(TextError, match="U\\+041F"):
        bark.generate("\N{CYRILLIC CAPITAL LETTER PE}ривет", voice="en_0")


def test_a_clip_becomes_a_voice_and_a_file(bark: openbark.Bark, tmp_path: Path) -> None:
    clip = bark.generate(SENTENCE, voice="en_3", seed=2)
    path = tmp_path / "clip.wav"
    clip.save(path)
    waveform, rate = read_audio(path)
    assert rate == clip.sample_rate
    np.testing.assert_allclose(waveform, clip.waveform.clip(-1, 1), atol=1.0 / 32767)
    again = bark.generate("And one more.", voice=clip.as_voice(), seed=3)
    assert again.stop_reason == "eos"


def test_compiled_engine_and_pytorch_compute_the_same(bark: openbark.Bark) -> None:
    available = pytest.importorskip("openbark.backends.native.library").available_kernels()
    if not available:
        pytest.skip("the compiled engine is not built here")
    engines = [openbark.Bark.load(backend=name).backend for name in ("native", "torch")]
    voice = bark.find_voice("en_1")
    assert voice is not None
    text_tokens = bark.tokenizer.encode(SENTENCE)
    prompt = semantic_prompt(text_tokens, voice.semantic, bark.config.semantic_rules)
    context = coarse_context(voice.semantic, voice.semantic, voice.coarse, bark.config)
    window = coarse_window_prompt(context, np.zeros(0, dtype=np.int64), bark.config)
    offset, size = bark.config.coarse_offset, bark.config.codebook_size
    for stage, what, rows in (
        (Stage.SEMANTIC, prompt, slice(None)),
        (Stage.COARSE, window, slice(offset, offset + size)),
    ):
        ours, theirs = (engine.causal_logits(stage, what)[rows] for engine in engines)
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    ours, theirs = (engine.codec_decode(voice.fine) for engine in engines)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_long_text_is_the_same_however_it_is_made(bark: openbark.Bark) -> None:
    text = f"{SENTENCE} Mr. Brown came late. He had lost his keys at the station.\n\nNobody knew."
    alone, together = (
        bark.generate(text, "en_1", 5, options=openbark.LongFormOptions(ahead=ahead))
        for ahead in (1, 8)
    )
    assert np.array_equal(alone.waveform, together.waveform)
    assert np.array_equal(np.concatenate(list(bark.stream(text, "en_1", 5))), alone.waveform)
    assert [text[each.start : each.stop] for each in alone.segments] == [
        SENTENCE,
        "Mr. Brown came late.",
        "He had lost his keys at the station.",
        "Nobody knew.",
    ]
    for before, after in pairwise(alone.segments):
        seam = alone.waveform[before.end_sample : after.first_sample]
        assert len(seam) >= 0.3 * alone.sample_rate
        assert np.abs(np.diff(seam)).max() < 0.1

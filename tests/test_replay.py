"""A clip is made again from its file: the same bytes on the same model, and a plain word where it is another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from openbark.api import Bark
from openbark.audio import encode_audio
from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.fingerprint import fingerprint
from openbark.config import BarkConfig
from openbark.errors import AudioError, VoiceError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams
from openbark.replay import load_model, make_again, model_difference, read_recipe
from openbark.voices.voice import Voice

PARAMS = GenerationParams(
    semantic=SamplingParams(temperature=0.9, top_k=40),
    max_semantic_tokens=24,
    allow_early_stop=False,
)


@pytest.fixture(scope="module")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("replay") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    for name, first in (("en_0", 0), ("en_1", 1)):
        voice = Voice(np.arange(first, 20 + first), codes[:2], codes)
        voice.save(copy / "voices" / f"{name}.npz")
    return copy


@pytest.fixture(scope="module")
def bark(folder: Path) -> Bark:
    return Bark.load(folder, threads=1)


@pytest.mark.parametrize("format", ["wav", "f32", "flac"])
@pytest.mark.parametrize("voice", [None, "en_0"])
def test_a_lossless_file_is_made_again_byte_for_byte(
    bark: Bark, folder: Path, tmp_path: Path, format: str, voice: str | None
) -> None:
    path = tmp_path / f"a.{'wav' if format == 'f32' else format}"
    clip = bark.generate("Hello there.", voice, 7, PARAMS).edited(speed=1.25, loudness=-30.0)
    clip.save(path, format)
    recipe = read_recipe(path)
    again_bark = load_model(recipe, str(folder), threads=1)
    assert model_difference(recipe, again_bark) is None
    make_again(recipe, again_bark).save(tmp_path / "again", format)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_sidecar_stands_in_for_tags(bark: Bark, tmp_path: Path) -> None:
    clip = bark.generate("Hi.", None, 3, PARAMS)
    clip.save(tmp_path / "a.pcm", sidecar=True)
    again = make_again(read_recipe(tmp_path / "a.pcm.json"), bark)
    assert np.array_equal(again.waveform, clip.waveform)
    with pytest.raises(AudioError, match="cannot be read"):
        read_recipe(tmp_path / "a.pcm")


def test_another_model_is_noticed(bark: Bark, folder: Path, tmp_path: Path) -> None:
    config = BarkConfig.tiny()
    other = tmp_path / "other"
    tokenizer = (folder / "tokenizer.json").read_text()
    save_checkpoint(other, config, random_checkpoint(config, seed=2), SUNO_PARAMS, tokenizer)
    bark.generate("Hi.", None, 3, PARAMS).save(tmp_path / "a.wav")
    recipe = read_recipe(tmp_path / "a.wav")
    found = model_difference(recipe, Bark.load(other, threads=1))
    assert found is not None
    assert "another model" in found
    assert fingerprint(open_checkpoint(folder)) in found
    assert fingerprint(open_checkpoint(other)) in found


def test_one_changed_tensor_is_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    config = BarkConfig.tiny()
    tensors = random_checkpoint(config, seed=1)
    tokenizer = (folder / "tokenizer.json").read_text()
    first = save_checkpoint(tmp_path / "a", config, tensors, SUNO_PARAMS, tokenizer)
    same = save_checkpoint(tmp_path / "b", config, tensors, SUNO_PARAMS, tokenizer)
    name = "coarse_acoustics.layers.1.mlp.in_proj.weight"
    tensors[name] = tensors[name] + 1e-4
    tuned = save_checkpoint(tmp_path / "c", config, tensors, SUNO_PARAMS, tokenizer)
    prints = [fingerprint(open_checkpoint(path)) for path in (first, same, tuned)]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 16


def test_another_computation_is_told(bark: Bark, tmp_path: Path) -> None:
    bark.generate("Hi.", None, 3, PARAMS).save(tmp_path / "a.wav")
    recipe = read_recipe(tmp_path / "a.wav")
    wide = Bark(bark.backend, bark.tokenizer, origin=bark.origin)
    wide.origin = type(bark.origin)(**{**vars(bark.origin), "dtype": "bfloat16"})
    assert model_difference(recipe, wide) == "dtype was 'float32' then and is 'bfloat16' now"


def test_a_voice_with_other_tokens_is_refused(bark: Bark, folder: Path, tmp_path: Path) -> None:
    clip = bark.generate("Hi.", "en_0", 3, PARAMS)
    clip.save(tmp_path / "a.wav")
    recipe = read_recipe(tmp_path / "a.wav")
    with pytest.raises(VoiceError, match="other tokens"):
        make_again(recipe, bark, "en_1")
    again = make_again(recipe, bark, folder / "voices" / "en_0.npz")
    assert np.array_equal(again.waveform, clip.waveform)


def test_a_folder_s_model_must_be_given(bark: Bark, tmp_path: Path) -> None:
    bark.generate("Hi.", None, 3, PARAMS).save(tmp_path / "a.wav")
    data = (tmp_path / "a.wav").read_bytes()
    assert str(tmp_path).encode() not in data
    with pytest.raises(AudioError, match="--model"):
        load_model(read_recipe(tmp_path / "a.wav"))


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("", "no recipe"),
        ("no json", "no recipe"),
        ("[1]", "no recipe"),
        ('{"generator": "another 1.0"}', "no recipe"),
        ('{"generator": "openbark 9.0", "text": "Hi."}', "cannot read.*openbark 9.0"),
        ('{"generator": "openbark 0.1.0", "text": null}', "too long for its tags"),
    ],
)
def test_files_without_a_recipe_say_so(tmp_path: Path, comment: str, expected: str) -> None:
    tags = {"comment": comment} if comment else {}
    (tmp_path / "a.wav").write_bytes(encode_audio(np.zeros(9, np.float32), 24_000, "wav", tags))
    with pytest.raises(AudioError, match=expected):
        read_recipe(tmp_path / "a.wav")


@pytest.mark.parametrize("change", ["seed", "params", "made_with", "edits"])
def test_a_recipe_of_the_wrong_kind_is_a_typed_error(
    bark: Bark, tmp_path: Path, change: str
) -> None:
    bark.generate("Hi.", None, 3, PARAMS).save(tmp_path / "a.pcm", sidecar=True)
    document = json.loads((tmp_path / "a.pcm.json").read_text())
    if change == "seed":
        del document["seed"]
    else:
        document[change] = {"colour": "blue"}
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(AudioError, match="cannot read"):
        read_recipe(tmp_path / "b.json")

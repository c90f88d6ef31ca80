from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from suno_models import any_text_tokenizer, layered_suno, narrow_suno, voice_arrays

from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.convert import convert_to_suno
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS


@pytest.fixture(scope="session")
def suno_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint with Suno's token layout."""
    pytest.importorskip("torch")
    config = narrow_suno()
    tensors = random_checkpoint(config, seed=5)
    tensors["semantic.lm_head.weight"][config.semantic_rules.eos_token] = 0.0
    folder = tmp_path_factory.mktemp("suno") / "narrow"
    return save_checkpoint(folder, config, tensors, SUNO_PARAMS, any_text_tokenizer())


@pytest.fixture(scope="session")
def suno_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suno's files in both sizes in one folder, with codec and tokenizer: text.pt .. fine_2.pt. Read only."""
    root = tmp_path_factory.mktemp("files")
    for n_layer in (2, 24):
        config = layered_suno(n_layer)
        tensors = random_checkpoint(config, seed=n_layer)
        folder = root / f"hf{n_layer}"
        save_checkpoint(folder, config, tensors, SUNO_PARAMS, any_text_tokenizer())
        convert_to_suno(open_checkpoint(folder), root / str(n_layer))
        shutil.rmtree(folder)
    for file in (root / "24").glob("*_2.pt"):
        file.rename(root / "2" / file.name)
    shutil.rmtree(root / "24")
    return root / "2"


@pytest.fixture(scope="session")
def tiny_folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint, with two voices of its own and a tokenizer that reads everything."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("compat") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, folder)
    (folder / "tokenizer.json").write_text(any_text_tokenizer(), encoding="utf-8")
    (folder / "voices").mkdir()
    for seed, name in enumerate(("en_0", "en_1")):
        np.savez(folder / "voices" / f"{name}.npz", **voice_arrays(BarkConfig.tiny(), 20, seed))
    return folder


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model, voice or setting of the person who runs the tests."""
    for name in (
        "OPENBARK_MODEL",
        "OPENBARK_VOICES",
        "SUNO_USE_SMALL_MODELS",
        "SUNO_OFFLOAD_CPU",
        "SUNO_ENABLE_MPS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "TTS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("torch").manual_seed(0)
    return tmp_path


@pytest.fixture
def generation(
    clean_environment: Path, suno_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """`bark.generation` with the random checkpoint of Suno's layout."""
    from bark import generation as module

    monkeypatch.setenv("OPENBARK_MODEL", str(suno_folder))
    yield module
    module.clean_models()


@pytest.fixture
def tiny_generation(
    clean_environment: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """`bark.generation` with the tiny checkpoint."""
    from bark import generation as module

    monkeypatch.setenv("OPENBARK_MODEL", str(tiny_folder))
    yield module
    module.clean_models()

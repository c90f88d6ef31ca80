"""A random Bark with Suno's vocabularies and EnCodec's published size, small elsewhere, in Suno's layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_runs import NAME
from loopback_hub import Hub, serve

from openbark.checkpoints import open_checkpoint, random_checkpoint, save_checkpoint
from openbark.checkpoints.convert import convert_to_suno
from openbark.config import BarkConfig
from openbark.params import SUNO_PARAMS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "wor", "##ld", "!", "♪", "你"]


def suno_shaped() -> BarkConfig:
    """Suno's token layout and codec around transformers of two thin layers."""
    plain = BarkConfig()
    thin = {"n_layer": 2, "n_head": 2, "n_embd": 16}
    return replace(
        plain,
        semantic=replace(plain.semantic, **thin),
        coarse=replace(plain.coarse, **thin),
        fine=replace(plain.fine, **thin),
    )


@pytest.fixture(scope="session")
def hf_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random Bark in the Hugging Face layout, its tokenizer a vocab.txt. Read only, please."""
    config = suno_shaped()
    folder = tmp_path_factory.mktemp("layouts") / "hf"
    save_checkpoint(folder, config, random_checkpoint(config, seed=3), SUNO_PARAMS, None)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def suno_dir(hf_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as Suno's files, with codec and tokenizer beside them. Read only, please."""
    folder = tmp_path_factory.mktemp("layouts") / "suno"
    return convert_to_suno(open_checkpoint(hf_dir), folder)


@pytest.fixture(autouse=True)
def no_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's caches counts; ours is empty."""
    home = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("OPENBARK_CACHE", str(home / "openbark"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    return home


@pytest.fixture
def hub(tiny_checkpoint_dir: Path) -> Iterator[Hub]:
    """A hub with the tiny Bark and files that nobody should fetch."""
    files = {path.name: path.read_bytes() for path in tiny_checkpoint_dir.iterdir()}
    files |= {"pytorch_model.bin": b"twice", "text.pt": b"thrice", "README.md": b"#"}
    files["speaker_embeddings/a_semantic_prompt.npy"] = b"voice"
    with serve(Hub(NAME, files)) as served:
        yield served

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from shim_models import preset

pytest.importorskip("torch")

from openbark.compat import transformers as hf
from openbark.voices.voice import Voice


@pytest.fixture(scope="session")
def folder(tiny_checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with a voice of its own and one in transformers' index, in uint16."""
    copy = tmp_path_factory.mktemp("shim") / "tiny"
    shutil.copytree(tiny_checkpoint_dir, copy)
    (copy / "voices").mkdir()
    Voice.from_arrays(preset()).save(copy / "voices" / "en_0.npz")
    (copy / "speaker_embeddings" / "v2").mkdir(parents=True)
    entry = {}
    for key, array in preset().items():
        entry[key] = f"speaker_embeddings/v2/en_speaker_6_{key}.npy"
        np.save(copy / entry[key], array.astype(np.uint16))
    index = {"repo_or_path": "somebody/else", "v2/en_speaker_6": entry}
    (copy / "speaker_embeddings_path.json").write_text(json.dumps(index))
    return copy


@pytest.fixture(scope="module")
def model(folder: Path) -> hf.BarkModel:
    return hf.BarkModel.from_pretrained(folder)


@pytest.fixture(scope="session")
def processor(folder: Path) -> hf.BarkProcessor:
    return hf.AutoProcessor.from_pretrained(folder)

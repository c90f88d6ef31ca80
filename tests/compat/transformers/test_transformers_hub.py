"""`from_pretrained` from a hub with transformers' keywords, and `push_to_hub`, against a hub on loopback (H34, H35)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loopback_hub import COMMIT, TOKEN, Hub, serve

from openbark.compat import transformers as hf
from openbark.errors import ParamError
from openbark.voices.voice import Voice

ROOT = Path(__file__).parents[3]
NAME = "someone/bark-tiny"
PRELUDE = """
from openbark.compat.transformers import *
from openbark.errors import *
"""


def voice() -> Voice:
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    return Voice(np.arange(20), codes[:2], codes)


@pytest.fixture
def hub(tiny_checkpoint_dir: Path, tmp_path: Path) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in tiny_checkpoint_dir.iterdir()}
    processor = hf.BarkProcessor.from_pretrained(tiny_checkpoint_dir)
    voice().save(tmp_path / "v.npz")
    for key, array in processor("a", voice_preset=tmp_path / "v.npz", return_tensors="np")[
        "history_prompt"
    ].items():
        np.save(tmp_path / f"{key}.npy", array)
        files[f"speaker_embeddings/mine_{key}.npy"] = (tmp_path / f"{key}.npy").read_bytes()
    keys = ("semantic_prompt", "coarse_prompt", "fine_prompt")
    table = {"mine": {key: f"speaker_embeddings/mine_{key}.npy" for key in keys}}
    files["speaker_embeddings_path.json"] = json.dumps(table).encode()
    files |= {f"inner/{name}": data for name, data in files.items()}
    with serve(Hub(NAME, files)) as served:
        yield served


def script(hub: Hub, home: Path, source: str) -> subprocess.CompletedProcess[str]:
    """A script in a fresh process, whose only hub is `hub`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment |= {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home / "hf"),
        "OPENBARK_CACHE": str(home / "openbark"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + source],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_ran(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_H34_processor_alone_fetches_no_weights(hub: Hub, tmp_path: Path) -> None:
    assert_ran(
        script(
            hub,
            tmp_path,
            f"""
processor = AutoProcessor.from_pretrained("{NAME}", revision="{COMMIT}", token="{TOKEN}", use_fast=True)
assert processor.available_voice_presets == ["mine"]
assert processor("a", voice_preset="mine")["history_prompt"]["fine_prompt"].shape == (8, 30)
BarkConfig.from_pretrained("{NAME}", revision="{COMMIT}", token="{TOKEN}")
""",
        )
    )
    paths = [path for _, path, _ in hub.requests]
    assert not [path for path in paths if path.endswith(".safetensors")]
    assert f"Bearer {TOKEN}" in hub.tokens
    assert any(COMMIT in path for path in paths)


def test_H34_cache_and_local_files(hub: Hub, tmp_path: Path) -> None:
    """One cache of the caller's for model and processor; then both without a request."""
    assert_ran(
        script(
            hub,
            tmp_path,
            f"""
where = dict(cache_dir="mine", revision="main")
try:
    AutoModel.from_pretrained("{NAME}", local_files_only=True, **where)
except CheckpointNotFoundError as error:
    assert "local_files_only" in str(error)
AutoModel.from_pretrained("{NAME}", **where)
AutoProcessor.from_pretrained("{NAME}", **where)
""",
        )
    )
    assert list((tmp_path / "mine").glob("models--*"))
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    hub.requests.clear()
    assert_ran(
        script(
            hub,
            tmp_path,
            f"""
where = dict(cache_dir="mine", revision="main", local_files_only=True)
model = AutoModel.from_pretrained("{NAME}", **where)
inputs = AutoProcessor.from_pretrained("{NAME}", **where)("hello", voice_preset="mine")
assert model.generate(**inputs, semantic_max_new_tokens=6).shape[1] > 0
""",
        )
    )
    assert hub.requests == []


def test_H34_force_download_and_subfolder(hub: Hub, tmp_path: Path) -> None:
    source = f'BarkModel.from_pretrained("{NAME}", subfolder="inner", force_download=True)\n'
    assert_ran(script(hub, tmp_path, source))
    assert_ran(script(hub, tmp_path, source))
    assert len(hub.ranges("inner/model.safetensors")) == 2
    assert hub.ranges("main/model.safetensors") == []


def test_H34_other_keywords_are_refused_by_name(tiny_checkpoint_dir: Path) -> None:
    for name, advice in (
        ("quantization_config", "int8"),
        ("load_in_8bit", "int8"),
        ("proxies", "HTTPS_PROXY"),
        ("variant", "revision"),
        ("max_memory", "enable_cpu_offload"),
        ("revison", "allowed: cache_dir"),
    ):
        with pytest.raises(ParamError, match=f"'{name}'; .*{advice}"):
            hf.BarkModel.from_pretrained(tiny_checkpoint_dir, **{name: True})
    with pytest.raises(ParamError, match="subfolder"):
        hf.BarkModel.from_pretrained(tiny_checkpoint_dir, subfolder="../x")
    inner = hf.BarkModel.from_pretrained(
        tiny_checkpoint_dir.parent, subfolder=tiny_checkpoint_dir.name, trust_remote_code=True
    )
    assert inner.num_parameters() > 0


def test_H35_push_to_hub(hub: Hub, tmp_path: Path, tiny_checkpoint_dir: Path) -> None:
    """Model and processor arrive, and load again from there; nothing else of the user's folder goes along."""
    (tmp_path / "bark-tiny").mkdir()
    (tmp_path / "bark-tiny" / "diary.txt").write_text("mine")
    hub.files.clear()
    assert_ran(
        script(
            hub,
            tmp_path,
            f"""
model = BarkModel.from_pretrained("{tiny_checkpoint_dir}")
processor = BarkProcessor.from_pretrained("{tiny_checkpoint_dir}")
address = model.push_to_hub("{NAME}", token="{TOKEN}", private=True, commit_message="first")
assert address.endswith("/{NAME}/commit/{COMMIT}")
processor.save_pretrained("bark-tiny", push_to_hub=True, repo_id="{NAME}", token="{TOKEN}")
again = BarkModel.from_pretrained("{NAME}")
assert again.semantic.lm_head.weight.equal(model.semantic.lm_head.weight)
assert AutoProcessor.from_pretrained("{NAME}")("hello")["input_ids"].equal(processor("hello")["input_ids"])
""",
        )
    )
    assert hub.created[0] == {
        "name": "bark-tiny",
        "organization": "someone",
        "visibility": "private",
    }
    assert hub.commits[0]["summary"] == "first"
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(hub.files)
    assert "diary.txt" not in hub.files


def test_H35_a_hub_that_refuses(hub: Hub, tmp_path: Path, tiny_checkpoint_dir: Path) -> None:
    done = script(
        hub,
        tmp_path,
        f"""
config = BarkConfig.from_pretrained("{tiny_checkpoint_dir}")
try:
    config.push_to_hub("{NAME}", token="wrong")
except CheckpointError as error:
    assert "right to write" in str(error)
else:
    raise SystemExit("taken")
try:
    config.save_pretrained("here", repo_id="{NAME}")
except ParamError as error:
    assert "push_to_hub=True" in str(error)
else:
    raise SystemExit("taken")
""",
    )
    assert_ran(done)
    assert hub.commits == []

"""Downloads from a hub that is really there, on loopback; then offline. What goes wrong: test_hub_faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_runs import NAME, NO_SOCKETS, openbark
from loopback_hub import COMMIT, Hub

from openbark.checkpoints.hub.download import choose_files, is_hub_id
from openbark.errors import CheckpointUnsupportedError


def test_download_then_offline(hub: Hub, tmp_path: Path, tiny_checkpoint_dir: Path) -> None:
    done = openbark(hub, tmp_path, "models", "download", NAME)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert (folder / "speaker_embeddings" / "a_semantic_prompt.npy").is_file()
    assert not (folder / "pytorch_model.bin").exists()
    assert not (folder / "text.pt").exists()
    said = next(line for line in done.stderr.splitlines() if line.startswith(NAME))
    assert "5 files" in said
    assert "MB, to " in said
    assert str(tmp_path / "hf") in said

    asked = len(hub.requests)
    shown = openbark(hub, tmp_path, "models", "show", NAME, before=NO_SOCKETS, offline=True)
    assert shown.returncode == 0, shown.stderr
    assert "tiny" in shown.stdout
    again = openbark(hub, tmp_path, "models", "download", NAME, before=NO_SOCKETS, offline=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert len(hub.requests) == asked


def test_offline_without_a_copy(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "download", NAME, before=NO_SOCKETS, offline=True)
    assert done.returncode == 2
    assert "HF_HUB_OFFLINE is set" in done.stderr
    assert "openbark models download" in done.stderr
    assert hub.requests == []


def test_names_and_revisions_that_are_not_there(hub: Hub, tmp_path: Path) -> None:
    for args, part in (
        ((NAME, "--revision", "old"), "has no revision 'old'"),
        (("someone/else",), "the hub has no model someone/else"),
        (("noslash",), "OWNER/NAME"),
    ):
        done = openbark(hub, tmp_path, "models", "download", *args)
        assert done.returncode == 2
        assert part in done.stderr
        assert "Traceback" not in done.stderr


def test_pinned_revision(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "download", NAME, "--revision", COMMIT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(COMMIT)
    pinned = f"{NAME}@{COMMIT}"
    assert openbark(hub, tmp_path, "models", "download", pinned).stdout == done.stdout
    shown = openbark(hub, tmp_path, "models", "show", pinned, before=NO_SOCKETS, offline=True)
    assert shown.returncode == 0, shown.stderr
    both = openbark(hub, tmp_path, "models", "download", pinned, "--revision", "main")
    assert both.returncode == 2
    assert "pins one revision" in both.stderr


def test_N5_offline_speech_opens_no_socket(hub: Hub, tmp_path: Path) -> None:
    """Not one: the audit hook sees every socket that Python makes, connected or not."""
    assert openbark(hub, tmp_path, "models", "download", NAME).returncode == 0
    args = ("say", "Hi there.", "--model", NAME, "-o", "o.wav", "--seed", "1", "-q")
    spoken = openbark(hub, tmp_path, *args, before=NO_SOCKETS, offline=True)
    assert spoken.returncode == 0, spoken.stderr
    assert (tmp_path / "o.wav").stat().st_size > 44


def test_the_hook_sees_sockets(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "download", NAME, before=NO_SOCKETS)
    assert done.returncode != 0
    assert "a socket was opened" in done.stderr


def test_a_name_is_fetched_where_a_folder_is_wanted(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "convert", NAME, "-o", "made")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / "model.safetensors").is_file()
    assert (tmp_path / "made" / "speaker_embeddings" / "a_semantic_prompt.npy").is_file()


def test_names_of_models() -> None:
    for name in ("suno/bark-small", "suno/bark-small@1dbd7a1", "suno/bark@refs/pr/3"):
        assert is_hub_id(name)
    bad = "suno /suno/bark ./model a/b/c ../bark suno/../bark ~/x a/b@ a/b@../x a/b@c@d"
    for name in (*bad.split(), ""):
        assert not is_hub_id(name)


def test_one_set_of_weights() -> None:
    suno = [f"{stage}{size}.pt" for stage in ("text", "coarse", "fine") for size in ("", "_2")]
    published = ["config.json", "vocab.txt", "pytorch_model.bin", "README.md", *suno]
    assert choose_files("suno/bark", published) == ["config.json", "vocab.txt", "pytorch_model.bin"]
    assert choose_files("a/b", suno) == ["text_2.pt", "coarse_2.pt", "fine_2.pt"]
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = ["model.safetensors.index.json", *shards, "pytorch_model.bin"]
    assert choose_files("a/b", index) == index[:3]
    bert = "google-bert/bert-base-multilingual-cased"
    assert choose_files(bert, ["model.safetensors", "vocab.txt"]) == ["vocab.txt"]
    with pytest.raises(CheckpointUnsupportedError, match="holds no weights"):
        choose_files("a/b", ["README.md"])

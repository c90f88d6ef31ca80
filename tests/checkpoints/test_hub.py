"""Downloads from a hub that is really there, on loopback: whole, cut, corrupt, offline, full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import COMMIT, Hub, serve

from openbark.checkpoints.hub import choose_files, is_hub_id
from openbark.errors import CheckpointUnsupportedError

ROOT = Path(__file__).parents[2]
NAME = "someone/bark-tiny"

NO_SOCKETS = """
import socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("a socket was opened")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
socket.create_connection = refuse
"""
NO_SPACE = """
import huggingface_hub.file_download as f
def full(*args, **kwargs):
    raise OSError(28, "No space left on device")
f.http_get = full
"""
SMALL_CHUNKS = """
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 4096
"""
MAIN = "import sys\nfrom openbark.cli.main import main\nmain()\n"


@pytest.fixture
def hub(tiny_checkpoint_dir: Path) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in tiny_checkpoint_dir.iterdir()}
    files |= {"pytorch_model.bin": b"twice", "text.pt": b"thrice", "README.md": b"#"}
    files["speaker_embeddings/a_semantic_prompt.npy"] = b"voice"
    with serve(Hub(NAME, files)) as served:
        yield served


def openbark(
    hub: Hub, home: Path, *args: str, before: str = "", offline: bool = False
) -> subprocess.CompletedProcess[str]:
    """One command line in a fresh process, whose only hub is `hub`."""
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
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    return subprocess.run(
        [sys.executable, "-c", before + MAIN, *args],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


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


def test_a_cut_connection_is_resumed(hub: Hub, tmp_path: Path) -> None:
    hub.cut.add("model.safetensors")
    args = ("models", "download", NAME, "--dir", "here", "--revision", "main")
    done = openbark(hub, tmp_path, *args, before=SMALL_CHUNKS)
    assert done.returncode == 0, done.stderr
    data = hub.files["model.safetensors"]
    assert (tmp_path / "here" / "model.safetensors").read_bytes() == data
    first, second = hub.ranges("model.safetensors")
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").split("-")[0]) > 0


@pytest.mark.parametrize("same_size", [True, False])
def test_corrupt_files_are_named_and_kept(hub: Hub, tmp_path: Path, same_size: bool) -> None:
    data = hub.files["model.safetensors"]
    hub.promised["model.safetensors"] = (data[:-1] + b"?") if same_size else data + b"more"
    done = openbark(hub, tmp_path, "models", "download", NAME)
    assert done.returncode == 1
    assert "hub promised" in done.stderr
    assert "Traceback" not in done.stderr
    if same_size:
        assert "delete that file" in done.stderr
        blob = next((tmp_path / "hf" / "hub").glob("models--*/blobs/*"))
        assert blob.is_file()
        offline = openbark(hub, tmp_path, "models", "download", NAME, offline=True)
        assert offline.returncode == 1
        assert "hub promised" in offline.stderr


def test_a_full_disk(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "download", NAME, before=NO_SPACE)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "--dir" in done.stderr
    assert "Traceback" not in done.stderr


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


def test_a_name_is_fetched_where_a_folder_is_wanted(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, "models", "convert", NAME, "-o", "made")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / "model.safetensors").is_file()
    assert (tmp_path / "made" / "speaker_embeddings" / "a_semantic_prompt.npy").is_file()


def test_names_of_models() -> None:
    assert is_hub_id("suno/bark-small")
    for name in ("suno", "/suno/bark", "./model", "a/b/c", "../bark", "suno/../bark", "~/x", ""):
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

"""`openbark models list`: the hub's cache, Suno's, Coqui's; looked at, never touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hub_runs import NAME, NO_SOCKETS, openbark
from loopback_hub import COMMIT, Hub

from openbark.cli.main import cli


@pytest.fixture(autouse=True)
def homes(no_caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "coqui"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def listed() -> list[dict[str, Any]]:
    done = CliRunner().invoke(cli, ["models", "list", "--json"], prog_name="openbark")
    assert done.exit_code == 0, done.output
    return [entry for entry in json.loads(done.stdout) if entry["name"] != "embedded"]


def snapshot(home: Path, repository: str, source: Path, ref: str = "main") -> Path:
    """A repository in the hub's cache, as huggingface_hub lays it out."""
    root = home / "hub" / f"models--{repository.replace('/', '--')}"
    folder = root / "snapshots" / COMMIT
    shutil.copytree(source, folder)
    (root / "refs").mkdir()
    (root / "refs" / ref).write_text(COMMIT)
    return folder


def test_nothing_but_the_embedded_model(no_caches: Path) -> None:
    assert listed() == []


def test_barks_of_the_hub_cache_and_no_others(
    no_caches: Path, tiny_checkpoint_dir: Path, tmp_path: Path
) -> None:
    folder = snapshot(no_caches, NAME, tiny_checkpoint_dir)
    snapshot(no_caches, "someone/pinned", tiny_checkpoint_dir, ref="v1")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    snapshot(no_caches, "someone/bert", tmp_path / "bert")
    (tmp_path / "half").mkdir()
    shutil.copyfile(tiny_checkpoint_dir / "config.json", tmp_path / "half" / "config.json")
    snapshot(no_caches, "someone/half", tmp_path / "half")
    whole, half, pinned = listed()
    assert (whole["name"], whole["place"], whole["model"]) == (NAME, "hub cache", "tiny")
    assert (whole["folder"], whole["missing"]) == (str(folder), [])
    assert pinned["name"] == "someone/pinned"
    assert half["name"] == "someone/half" and "half" in half["problem"]


def test_N14_suno_s_cache_and_coqui_s_folder(
    suno_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suno = tmp_path / "cache" / "suno" / "bark_v0"
    coqui = tmp_path / "coqui" / "tts" / "tts_models--multilingual--multi-dataset--bark"
    for folder, names in (
        (suno, ("text_2.pt", "coarse_2.pt", "fine_2.pt")),
        (coqui, ("text.pt", "coarse.pt", "fine.pt")),
    ):
        folder.mkdir(parents=True)
        given = sorted(suno_dir.glob("*.pt"))
        for stage, name in zip(("text", "coarse", "fine"), names, strict=True):
            (source,) = [path for path in given if path.name.startswith(stage)]
            shutil.copyfile(source, folder / name)
    first, second = listed()
    assert (first["name"], first["place"]) == (str(suno / "text_2.pt"), "Suno's cache")
    assert (second["name"], second["place"]) == (str(coqui / "text.pt"), "Coqui's folder")
    assert first["layout"] == second["layout"] == "suno"
    assert first["missing"] == ["codec", "tokenizer"]
    shown = CliRunner().invoke(cli, ["models", "list"], prog_name="openbark")
    assert "lacks codec and tokenizer, Suno's cache: " in shown.stdout
    (suno / "fine_2.pt").unlink()
    assert [entry["place"] for entry in listed()] == ["Coqui's folder"]


def test_a_downloaded_model_is_listed_offline(hub: Hub, tmp_path: Path) -> None:
    assert openbark(hub, tmp_path, "models", "download", NAME).returncode == 0
    done = openbark(hub, tmp_path, "models", "list", before=NO_SOCKETS, offline=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(NAME)]
    assert "hub cache" in line

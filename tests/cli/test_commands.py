from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import openbark
from openbark.assets import has_embedded

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


def test_help_lists_the_commands(run: Run) -> None:
    for args in (("--help",), ("-h",)):
        result = run(*args)
        assert result.exit_code == 0
        for name in ("say", "voices", "models", "doctor", "train"):
            assert f"\n  {name} " in result.stdout
    assert run("say", "--help").exit_code == 0
    assert run("train", "--help").exit_code == 0


def test_no_arguments_shows_the_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage: openbark" in result.output


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"openbark {openbark.__version__}\n"


@pytest.mark.parametrize(
    "args", [["--help"], ["voices", "--help"], ["say", "--help"], ["train", "--help"]]
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\n"
        "from openbark.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.rpartition("MODULES")[2].split())
    assert "click" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "tokenizers", "soundfile", "safetensors", "tqdm"})


def test_import_openbark_imports_nothing_heavy() -> None:
    code = "import sys, openbark\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({"torch", "numpy", "click", "tokenizers"})


def test_python_dash_m(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "openbark", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("openbark ")


def test_voices_list(run: Run, model_folder: Path) -> None:
    result = run("voices", "list", "--model", str(model_folder))
    assert result.exit_code == 0
    assert result.stdout == "en_0  0.4 s, en\nen_1  0.4 s, en\n"
    entries = json.loads(run("voices", "list", "--model", str(model_folder), "--json").stdout)
    assert [entry["name"] for entry in entries] == ["en_0", "en_1"]
    assert entries[0]["frames"] == 30


def test_voices_list_names_a_broken_one(run: Run, model_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "voices" / "odd.npz").write_bytes(b"no")
    result = run("voices", "list", "--model", str(folder))
    assert result.exit_code == 0
    assert "cannot be read as a voice" in result.stdout.splitlines()[-1]


def test_voices_show(run: Run, model_folder: Path) -> None:
    result = run("voices", "show", "en_1", "--model", str(model_folder))
    assert result.exit_code == 0
    assert "metadata.language en" in result.stdout
    path = model_folder / "voices" / "en_0.npz"
    details = json.loads(
        run("voices", "show", str(path), "--model", str(model_folder), "--json").stdout
    )
    assert (details["name"], details["file"]) == ("en_0", str(path))
    assert (details["semantic_tokens"], details["codebooks"]) == (20, 8)


def test_models_show(run: Run, model_folder: Path) -> None:
    result = run("models", "show", str(model_folder))
    assert result.exit_code == 0
    for part in (
        "tiny",
        "2 layers, 2 heads, width 16",
        "16 tokens",
        "en_0, en_1",
        "temperature 0.7",
    ):
        assert part in result.stdout
    document = json.loads(run("models", "show", str(model_folder), "--json").stdout)
    assert document["config"]["semantic_rules"]["semantic_vocab_size"] == 100
    assert document["default_params"]["fine"]["temperature"] == 0.5


def test_models_list(run: Run) -> None:
    result = run("models", "list", "--json")
    assert result.exit_code == 0
    names = [entry["name"] for entry in json.loads(result.stdout)]
    assert names == (["embedded"] if has_embedded() else [])


def test_doctor_speaks(run: Run, model_folder: Path, tmp_path: Path) -> None:
    result = run("doctor", "--model", str(model_folder))
    assert result.exit_code == 0, result.output
    assert "this installation speaks" in result.stdout
    for part in ("openbark", "torch", "gpu", "cores usable", "real-time factor", str(tmp_path)):
        assert part in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_doctor_fails_when_it_cannot_speak(run: Run, tmp_path: Path) -> None:
    result = run("doctor", "--model", str(tmp_path / "nowhere"), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["speaks"] is False
    failed = {finding["name"] for finding in report["findings"] if finding["required"]}
    assert failed == {"model", "speech"}


def test_doctor_says_why_there_is_no_gpu(run: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    report = json.loads(run("doctor", "--model", "nowhere", "--json").stdout)
    gpu = next(finding for finding in report["findings"] if finding["name"] == "gpu")
    assert gpu["ok"] == torch.cuda.is_available()
    assert gpu["text"]


def test_doctor_without_torch(
    run: Run, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openbark.cli.doctor.find_spec", lambda name: None)
    monkeypatch.setattr("openbark.backends.select.find_spec", lambda name: None)
    absent = model_folder / "absent.so"
    monkeypatch.setattr("openbark.backends.select.library_path", lambda: absent)
    result = run("doctor", "--model", str(model_folder))
    assert result.exit_code == 1
    assert "openbark[torch]" in result.stdout
    assert "cannot speak" in result.stdout


def test_speaking_shares_the_cores_unless_told_otherwise(
    run: Run, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak = ("Hi.", "--model", str(model_folder), "--threads", "1", "-q", "--max-seconds", "0.1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert run(*speak).exit_code == 0
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert run(*speak).exit_code == 0
    assert os.environ.pop("OMP_WAIT_POLICY") == "PASSIVE"

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from openbark.voices.voice import Voice

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("OPENBARK_VOICES", raising=False)
    return tmp_path / "data" / "openbark" / "voices"


def test_imported_voices_are_known_by_name(run: Run, model_folder: Path, home: Path) -> None:
    source = str(model_folder / "voices" / "en_0.npz")
    result = run("voices", "import", source, "--name", "v3/jo", "--consent", "Jo, 2026, all uses")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"v3/jo  {home / 'v3' / 'jo.npz'}\n"
    metadata = Voice.load(home / "v3" / "jo.npz").metadata
    assert metadata == {"language": "en", "consent": "Jo, 2026, all uses"}
    listed = run("voices", "list", "--model", str(model_folder)).stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["en_0", "en_1", "v3/jo"]
    again = run("voices", "import", source, "--name", "v3/jo")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run("voices", "import", source, "--name", "v3/jo", "--force").exit_code == 0


def test_a_folder_is_imported_whole(run: Run, model_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    source = str(model_folder / "voices")
    assert run("voices", "import", source, "--to", str(target)).exit_code == 0
    assert sorted(path.name for path in target.iterdir()) == ["en_0.npz", "en_1.npz"]
    assert "--name names one voice" in run("voices", "import", source, "--name", "x").stderr


def test_export_to_every_layout_and_back(run: Run, model_folder: Path, tmp_path: Path) -> None:
    expected = Voice.load(model_folder / "voices" / "en_1.npz")
    for layout, output in (("suno", "a.npz"), ("transformers", "hf"), ("coqui", "bark_voices")):
        target = tmp_path / output
        args = ("voices", "export", "en_1", "-o", str(target), "--format", layout)
        result = run(*args, "--model", str(model_folder))
        assert result.exit_code == 0, result.output
        back = tmp_path / f"back-{layout}"
        assert run("voices", "import", str(target), "--to", str(back)).exit_code == 0
        (file,) = back.rglob("*.npz")
        assert np.array_equal(Voice.load(file).fine, expected.fine)


def test_validate_tells_good_from_bad(run: Run, model_folder: Path, tmp_path: Path) -> None:
    good = model_folder / "voices" / "en_0.npz"
    bad = tmp_path / "bad.npz"
    voice = Voice.load(good)
    Voice(voice.semantic, voice.coarse[:, :-1], voice.fine).save(bad)
    assert run("voices", "validate", str(good), "--model", str(model_folder)).exit_code == 0
    result = run("voices", "validate", str(good), str(bad), "--model", str(model_folder), "--json")
    assert result.exit_code == 2
    findings = json.loads(result.stdout)
    assert findings[0]["error"] is None
    assert "29 frames and fine 30" in findings[1]["error"]


def test_random_makes_a_voice_that_speaks(run: Run, model_folder: Path, home: Path) -> None:
    args = ("voices", "random", "ann", "--seed", "4", "--text", "Hi there.", "-q")
    result = run(*args, "--model", str(model_folder), "--audio", "ann.wav")
    assert result.exit_code == 0, result.output
    assert Path("ann.wav").stat().st_size > 44
    assert Voice.load(home / "ann.npz").metadata["seed"] == 4
    assert run("voices", "show", "ann", "--model", str(model_folder)).exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("import", "gone.npz"), "no voice file at gone.npz"),
        (("import", "gone.json"), "no voice table at gone.json"),
        (("import", "."), "holds no voices"),
        (("random",), "give a NAME, or -o FILE"),
        (("random", "../x"), "cannot name a voice file"),
    ],
)
def test_mistakes_are_named(run: Run, args: tuple[str, ...], message: str) -> None:
    result = run("voices", *args)
    assert result.exit_code == 2
    assert message in result.output

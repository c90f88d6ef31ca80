from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
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


def test_C21_coqui_s_pth_is_imported_and_validated(
    run: Run, model_folder: Path, home: Path, tmp_path: Path
) -> None:
    voice = Voice.load(model_folder / "voices" / "en_0.npz")
    entries = {
        key: TensorEntry(key, "I64", array.shape, lambda array=array: array.copy())  # type: ignore[misc]
        for key, array in (
            ("semantic_prompt", voice.semantic),
            ("coarse_prompt", voice.coarse),
            ("fine_prompt", voice.fine),
        )
    }
    folder = tmp_path / "voices"
    folder.mkdir()
    write_torch_file(folder / "My_Voice.pth", entries | {"metadata": {"speaker_id": "My Voice"}})
    model = ("--model", str(model_folder))
    assert run("voices", "validate", str(folder / "My_Voice.pth"), *model).exit_code == 0
    unknown = run("voices", "show", str(folder / "My_Voice.pth"), *model)
    assert unknown.exit_code == 2 and "openbark voices import" in unknown.stderr
    for source in (folder / "My_Voice.pth", folder):
        assert run("voices", "import", str(source), "--force").exit_code == 0
        imported = Voice.load(home / "My_Voice.npz")
        assert np.array_equal(imported.fine, voice.fine)
        assert imported.metadata == {"title": "My Voice"}
    (folder / "evil.pth").write_bytes(b"\x80\x02cos\nsystem\n.")
    refused = run("voices", "validate", str(folder / "evil.pth"), *model)
    assert refused.exit_code == 2 and "os.system" in refused.stdout


def test_notes_are_kept_beside_the_arrays(run: Run, model_folder: Path, home: Path) -> None:
    notes = {"language": "en", "origin": "my desk", "licence": "CC0", "consent": "me, 2026"}
    words = [word for key, value in notes.items() for word in (f"--{key}", value)]
    source = str(model_folder / "voices" / "en_0.npz")
    assert run("voices", "import", source, "--name", "me", *words).exit_code == 0
    assert dict(Voice.load(home / "me.npz").metadata) == notes
    model = ("--model", str(model_folder))
    assert "CC0" in run("voices", "list", *model).stdout
    shown = json.loads(run("voices", "show", "me", *model, "--json").stdout)
    assert {key: shown[f"metadata.{key}"] for key in notes} == notes
    exported = run("voices", "export", "me", "-o", "again.npz", *model)
    assert exported.exit_code == 0
    assert dict(Voice.load("again.npz").metadata) == notes


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

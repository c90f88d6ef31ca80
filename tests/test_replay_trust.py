"""A file to be made again may come from anywhere: it fetches nothing, opens no path, and every field may be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from openbark.api import Bark
from openbark.audio import encode_audio
from openbark.cli.main import cli
from openbark.errors import AudioError, OpenBarkError, VoiceError
from openbark.params import GenerationParams
from openbark.replay import MAX_LETTERS, load_model, make_again, read_recipe

Document = dict[str, Any]
Write = Callable[[Document], Path]


@pytest.fixture(scope="module")
def bark(tiny_checkpoint_dir: Path) -> Bark:
    return Bark.load(tiny_checkpoint_dir, threads=1)


@pytest.fixture(scope="module")
def document(bark: Bark) -> Document:
    params = GenerationParams(max_semantic_seconds=0.3)
    found: Document = json.loads(bark.generate("Hello there.", seed=3, params=params).to_json())
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: Document) -> Path:
        path = tmp_path / "a.wav.json"
        path.write_text(json.dumps(content))
        return path

    return write


FIELDS = ("generator", "model", "made_with", "text", "voice", "voice_digest", "seed", "params",
          "edits", "long_form", "script")  # fmt: skip
WRONG = (5, 1.5, True, "x", [], [1], {}, {"x": 1}, {"speakers": 5}, -1, 1e308, 10**400)
NULL_ALLOWED = {"voice", "voice_digest", "long_form", "script"}
GOOD = {("generator", "x"), ("model", "x"), ("text", "x"), ("voice", "x"), ("voice_digest", "x"),
        ("seed", "5"), ("edits", "{}"), ("made_with", "{}")}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_wrong_kind_is_a_typed_error(
    document: Document, write: Write, field: str
) -> None:
    for value in (*WRONG, None):
        path = write({**document, field: value})
        is_good = (field, str(value)) in GOOD or (value is None and field in NULL_ALLOWED)
        if is_good and field != "generator":
            read_recipe(path)
            continue
        with pytest.raises(AudioError) as caught:
            read_recipe(path)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("made_with", "source"), 5),
        (("made_with", "device"), ["cpu"]),
        (("made_with", "coarse_window"), [1, 2, 3]),
        (("made_with", "coarse_window"), {"a": 1}),
        (("made_with", "run"), "x"),
        (("params", "semantic"), None),
        (("params", "semantic", "temperature"), "hot"),
        (("params", "semantic", "temperature"), 10**400),
        (("params", "semantic", "top_k"), 0),
        (("params", "semantic", "other"), 1),
        (("params", "max_semantic_seconds"), "x"),
        (("params", "max_semantic_seconds"), float("nan")),
        (("params", "allow_early_stop"), 1),
        (("params", "more"), 1),
        (("edits",), {"speed": 99}),
        (("edits",), {"speed": "fast"}),
        (("long_form",), "x"),
        (("long_form",), {"pauses": 5}),
        (("long_form",), {"pauses": {}, "best_of": 10**9}),
        (("script",), {}),
        (("script",), "x"),
        (("script",), {"format": "text", "markup": "error", "speakers": 5}),
        (("script",), {"format": "text", "markup": "error", "speakers": {"A": 5}}),
        (("script",), {"format": 5, "markup": "error", "speakers": {}}),
        (("text",), ["a"]),
    ],
)
def test_a_value_inside_is_a_typed_error(
    document: Document, write: Write, place: tuple[str, ...], value: Any
) -> None:
    changed = json.loads(json.dumps(document))
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(AudioError, match="recipe that this version cannot read"):
        read_recipe(write(changed))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\x00", "nul"])
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(AudioError, match="no recipe"):
        read_recipe(path)
    tags = {"comment": text}
    (tmp_path / "a.wav").write_bytes(encode_audio(np.zeros(9, np.float32), 24_000, "wav", tags))
    with pytest.raises(AudioError, match="no recipe"):
        read_recipe(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "source",
    ["../other/model", "/etc", "~/model", ".", "C:\\model", "http://x.example/m", "a/../b", "x"],
)
def test_a_path_in_the_file_is_not_followed(
    document: Document, write: Write, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bark, "load", refuse)
    recipe = read_recipe(write({**document, "made_with": {"source": source}}))
    for trusted in (False, True):
        with pytest.raises(AudioError, match="--model"):
            load_model(recipe, trusted=trusted)


def refuse(*args: object, **options: object) -> None:
    raise AssertionError("a model was loaded")


def test_a_model_is_not_fetched_unless_told_to(
    document: Document, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(Bark, "load", lambda path, *rest: loaded.append(path))
    monkeypatch.setattr("openbark.replay.cached", lambda name: None)
    recipe = read_recipe(write({**document, "made_with": {"source": "evil/model"}}))
    with pytest.raises(AudioError, match="not on this machine"):
        load_model(recipe)
    assert loaded == []
    load_model(recipe, trusted=True)
    load_model(recipe, "mine")
    monkeypatch.setattr("openbark.replay.cached", lambda name: tmp_path)
    load_model(recipe)
    assert loaded == ["evil/model", "mine", "evil/model"]


def test_a_folder_named_like_a_model_of_the_hub_is_not_followed(
    document: Document, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil" / "model").mkdir(parents=True)
    monkeypatch.setattr(Bark, "load", refuse)
    recipe = read_recipe(write({**document, "made_with": {"source": "evil/model"}}))
    with pytest.raises(AudioError, match="not followed"):
        load_model(recipe)


def test_a_voice_in_the_file_is_a_name_and_never_a_path(
    document: Document,
    write: Write,
    bark: Bark,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "private.npz"
    bark.generate("Hello.", seed=1).as_voice().save(file)
    monkeypatch.setattr("openbark.voices.library.Voice.load", refuse)
    speakers = {"format": "text", "markup": "error", "speakers": {"A": str(file)}}
    inside = {"format": "text", "markup": "error", "speakers": {}}
    ssml = f'<speak><voice name="{file}">Hello.</voice></speak>'
    for change in (
        {"voice": str(file)},
        {"script": speakers, "text": "A: Hello."},
        {"script": {**inside, "format": "ssml"}, "text": ssml},
        {"input_format": "ssml", "text": ssml},
    ):
        with pytest.raises(VoiceError, match="not known here by that name"):
            make_again(read_recipe(write({**document, **change})), bark)
    for name in (file.name, str(file)):  # a tag, or no tag at all for names that are none
        changed = {**document, "script": inside, "text": f"[voice:{name}]Hello."}
        with pytest.raises(OpenBarkError):
            make_again(read_recipe(write(changed)), bark)


def test_a_very_long_text_is_not_spoken_because_a_file_says_so(
    document: Document, write: Write, bark: Bark
) -> None:
    recipe = read_recipe(write({**document, "text": "a" * (MAX_LETTERS + 1)}))
    with pytest.raises(AudioError, match="--yes"):
        make_again(recipe, bark)


def test_numbers_beyond_every_limit_are_the_models_own(
    document: Document, write: Write, bark: Bark
) -> None:
    params = {**document["params"], "max_semantic_seconds": 1e308}
    make_again(read_recipe(write({**document, "params": params})), bark)


def test_nothing_in_the_file_commands_the_terminal(
    document: Document, write: Write, tiny_checkpoint_dir: Path
) -> None:
    for field in ("model", "voice", "generator", "text"):
        value = (
            "openbark \x1b]0;owned\x07\x1b[31m\x9b31m" if field == "generator" else "\x1b[31mx\x9b"
        )
        path = write({**document, field: value, **({"seed": None} if field == "generator" else {})})
        result = CliRunner().invoke(
            cli, ["replay", str(path), "--model", str(tiny_checkpoint_dir), "--check", "--json"]
        )
        assert not set("\x1b\x07\x9b") & set(result.output), field
        assert result.exit_code in (1, 2)
        assert isinstance(result.exception, SystemExit)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to("loop.json")
    for name in ("folder.json", "loop.json", "no.json", "x" * 5000 + ".json"):
        with pytest.raises(OpenBarkError):
            read_recipe(tmp_path / name)

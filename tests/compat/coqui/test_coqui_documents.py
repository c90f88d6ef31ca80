"""The code blocks of Coqui's Bark page on the embedded model: nothing but the import lines, the name of the model's
folder and the name of the program is changed. And the blocks of our page about them."""

from __future__ import annotations

import re
import shlex
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from openbark.assets import embedded_directory, has_embedded
from openbark.cli.main import cli

ROOT = Path(__file__).parents[3]
PAGE = ROOT.parent / "shared" / "upstream" / "coqui-bark.md"
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGES = {
    "from TTS.api import TTS": "from openbark.compat.coqui import TTS",
    "from TTS.tts.configs.bark_config import": "from openbark.compat.coqui import",
    "from TTS.tts.models.bark import": "from openbark.compat.coqui import",
    "path/to/model/dir/": "embedded",
}


@pytest.fixture(autouse=True)
def embedded_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model is the one that is found, and the voice that the page assumes is one of its own."""
    if not has_embedded():
        pytest.skip("the embedded model is not in this tree")
    monkeypatch.setenv("OPENBARK_MODEL", "embedded")
    voice = tmp_path / "bark_voices" / "ljspeech" / "speaker.npz"
    voice.parent.mkdir(parents=True)
    shutil.copyfile(embedded_directory() / "voices" / "en_0.npz", voice)


def blocks(page: Path) -> list[str]:
    if not page.is_file():
        pytest.skip(f"{page.name} is not here")
    return FENCE.findall(page.read_text(encoding="utf-8"))


def changed(source: str) -> str:
    for old, new in CHANGES.items():
        source = source.replace(old, new)
    return source


def test_C1_C2_C3_C4_the_model_block_runs() -> None:
    (source,) = [block for block in blocks(PAGE) if "Bark.init_from_config" in block]
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(changed(source), PAGE.name, "exec"), names)
    assert names["text"] == "Hello, my name is Manmay , how are you?"
    assert len(names["output_dict"]["wav"]) > 24_000


def test_C30_C31_C33_the_tts_block_runs() -> None:
    (source,) = [block for block in blocks(PAGE) if "TTS.api" in block]
    exec(compile(changed(source), PAGE.name, "exec"), {"__name__": "script"})
    for name in ("output.wav", "out.wav"):
        with wave.open(name) as file:
            assert file.getnframes() > 24_000


def test_C34_the_command_lines_run() -> None:
    (source,) = [block for block in blocks(PAGE) if "tts --model_name" in block]
    lines = [shlex.split(line, comments=True) for line in source.replace("\\\n", " ").splitlines()]
    commands = [line for line in lines if line]
    assert [line[0] for line in commands] == ["tts", "tts"]
    for line in commands:
        result = CliRunner().invoke(cli, ["coqui", *line[1:]], prog_name="openbark")
        assert result.exit_code == 0, result.output
        Path("output.wav").unlink()


def test_our_page_s_blocks_run() -> None:
    page = ROOT / "docs" / "migrating-coqui.md"
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile("\n".join(PYTHON.findall(page.read_text("utf-8"))), page.name, "exec"), names)
    assert Path("out.wav").is_file()
    assert len(names["waveform"]) % names["fine"].shape[1] == 0
    assert np.array_equal(names["coarse"], names["fine"][: len(names["coarse"])])

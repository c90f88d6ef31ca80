"""The code blocks of Coqui's Bark page, with the documented changes, and of our page about them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from openbark.cli.main import cli

ROOT = Path(__file__).parents[3]
PAGE = ROOT.parent / "shared" / "upstream" / "coqui-bark.md"
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGES = {
    "from TTS.api import TTS": "from openbark.compat.coqui import TTS",
    "from TTS.tts.configs.bark_config import": "from openbark.compat.coqui import",
    "from TTS.tts.models.bark import": "from openbark.compat.coqui import",
}


def blocks(page: Path) -> list[str]:
    if not page.is_file():
        pytest.skip(f"{page.name} is not here")
    return FENCE.findall(page.read_text(encoding="utf-8"))


def changed(source: str) -> str:
    for old, new in CHANGES.items():
        source = source.replace(old, new)
    return source


def test_the_model_block_runs(voice_folder: Path, tiny_checkpoint_dir: Path) -> None:
    (source,) = [block for block in blocks(PAGE) if "Bark.init_from_config" in block]
    source = source.replace("path/to/model/dir/", str(tiny_checkpoint_dir))
    source = source.replace("Manmay , how are you?", "Bo.")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(changed(source), PAGE.name, "exec"), names)
    assert len(names["output_dict"]["wav"]) > 0


def test_the_tts_block_runs(voice_folder: Path) -> None:
    (source,) = [block for block in blocks(PAGE) if "TTS.api" in block]
    source = source.replace(", how are you?", "")
    exec(compile(changed(source), PAGE.name, "exec"), {"__name__": "script"})
    assert Path("output.wav").is_file()
    assert Path("out.wav").is_file()


def test_the_command_lines_run(voice_folder: Path) -> None:
    (source,) = [block for block in blocks(PAGE) if "tts --model_name" in block]
    lines = [shlex.split(line, comments=True) for line in source.replace("\\\n", " ").splitlines()]
    commands = [line for line in lines if line]
    assert [line[0] for line in commands] == ["tts", "tts"]
    for line in commands:
        result = CliRunner().invoke(cli, ["coqui", *line[1:]], prog_name="openbark")
        assert result.exit_code == 0, result.output
        Path("output.wav").unlink()


def test_our_page_s_block_runs() -> None:
    page = ROOT / "docs" / "migrating.md"
    (source,) = [block for block in blocks(page) if "openbark.compat.coqui import TTS\n\n" in block]
    exec(compile(source, page.name, "exec"), {"__name__": "script"})
    assert Path("out.wav").is_file()

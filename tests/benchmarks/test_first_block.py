"""The script that times a stream's first block, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import first_block


def test_a_run_ends_in_one_json_document(
    tiny_checkpoint_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_block, "LENGTHS", (300, 3_000))
    # What its tokenizer can read.
    monkeypatch.setattr(first_block, "_PARAGRAPH", "It was late. Nobody came, and he slept.\n\n")
    arguments = ["--model", str(tiny_checkpoint_dir), "--voice", "none", "--runs", "1"]
    assert first_block.main([*arguments, "--threads", "1"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(document["seconds"]) == {"300", "3000"}
    assert all(seconds > 0 for seconds in document["seconds"].values())


def test_texts_are_as_long_as_asked() -> None:
    assert [len(first_block.text_of(length)) for length in (1, 999, 10_000)] == [1, 999, 10_000]

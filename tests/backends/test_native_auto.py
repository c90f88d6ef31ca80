"""dtype "auto": int8 where it was seen to draw what float32 draws, float32 everywhere else."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from native_engine import CONFIGS, checkpoint_in_memory, needs_engine, variants

from openbark.api import Bark
from openbark.backends.agreement import agreement, forced_sequences
from openbark.backends.native import auto, packed_files
from openbark.backends.native.auto import EngineRows, load_auto
from openbark.backends.native.backend import NativeBackend
from openbark.backends.native.packed_files import packed_directory
from openbark.backends.plain import PlainNetworks
from openbark.backends.select import load_backend
from openbark.checkpoints import Checkpoint, open_checkpoint, random_checkpoint, save_checkpoint
from openbark.params import SUNO_PARAMS
from openbark.stages.sampling import Stage

pytestmark = needs_engine

FAST = [name for name in variants() if name in ("avx512", "avx2", "neon")]
needs_fast_int8 = pytest.mark.skipif(not FAST, reason="no kernels with fast int8 here")


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A folder with a cache of its own, and no model too small."""
    monkeypatch.setenv("OPENBARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packed_files, "_LEAST_BYTES", 1)
    config = CONFIGS["wide"]
    folder = save_checkpoint(tmp_path / "m", config, random_checkpoint(config), SUNO_PARAMS, None)
    return open_checkpoint(folder, need_tokenizer=False)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_plain_networks_are_the_engines_in_float32(name: str) -> None:
    checkpoint = checkpoint_in_memory(CONFIGS[name])
    plain, engine = PlainNetworks(checkpoint), EngineRows(NativeBackend.load(checkpoint, threads=1))
    forced = forced_sequences(checkpoint.config, seed=3)
    for stage, (prompt, tokens) in (
        (Stage.SEMANTIC, forced.semantic),
        (Stage.COARSE, forced.coarse),
    ):
        expected = plain.causal_rows(stage, prompt, tokens)
        assert len(expected) == len(tokens) + 1
        found = engine.causal_rows(stage, prompt, tokens)
        np.testing.assert_allclose(found, expected, atol=2e-4, rtol=0)
    for k in (2, 7):
        expected = plain.fine_rows(forced.fine, k)
        np.testing.assert_allclose(engine.fine_rows(forced.fine, k), expected, atol=2e-4, rtol=0)


def test_agreement_falls_with_precision() -> None:
    checkpoint = checkpoint_in_memory(CONFIGS["wide"])
    plain = PlainNetworks(checkpoint)
    overlaps = []
    for dtype in ("float32", "int8", "int4"):
        rows = EngineRows(NativeBackend.load(checkpoint, dtype, threads=1))
        stages = agreement(plain, rows, checkpoint.config)
        assert list(stages) == ["semantic", "coarse", "fine"]
        overlaps.append(min(stage.overlap for stage in stages.values()))
    assert 1 > overlaps[0] > 0.9999
    assert overlaps[0] > overlaps[1] > 0.95 > overlaps[2]


def test_what_is_no_number_agrees_with_nothing() -> None:
    checkpoint = checkpoint_in_memory(CONFIGS["tiny"])
    plain = PlainNetworks(checkpoint)

    class Broken(PlainNetworks):
        def fine_rows(self, codes: object, k: int) -> object:  # type: ignore[override]
            return np.full_like(plain.fine_rows(codes, k), np.nan)  # type: ignore[arg-type]

    stages = agreement(plain, Broken(checkpoint), checkpoint.config)
    assert stages["fine"].overlap == 0
    assert stages["fine"].same_choice == 0
    assert stages["coarse"].overlap == pytest.approx(1)


@needs_fast_int8
def test_int8_that_agrees_is_taken_and_compared_once(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    backend = load_backend(checkpoint, "native", dtype="auto", threads=1, announce=lines.append)
    assert backend.dtype == "int8"
    (line,) = lines
    assert str(checkpoint.directory) in line
    assert "comparing int8 with float32" in line
    assert "int8" in backend.description
    (record,) = packed_directory().glob("*.agreement.json")
    assert "overlap" in record.read_text()

    def refuse(*arguments: object) -> None:
        raise AssertionError("compared again")

    monkeypatch.setattr(auto, "agreement", refuse)
    assert load_auto(checkpoint, 1, announce=refuse).dtype == "int8"


@needs_fast_int8
@pytest.mark.parametrize("content", ["", "[]", '{"semantic": {}}', '{"semantic": 3}'])
def test_a_damaged_record_is_made_again(checkpoint: Checkpoint, content: str) -> None:
    load_auto(checkpoint, 1)
    (record,) = packed_directory().glob("*.agreement.json")
    whole = record.read_text()
    record.write_text(content)
    assert load_auto(checkpoint, 1).dtype == "int8"
    assert record.read_text() == whole


@needs_fast_int8
def test_int8_that_does_not_agree_is_refused_with_the_figures(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auto, "LEAST_OVERLAP", 0.9999)
    with caplog.at_level(logging.WARNING):
        assert load_auto(checkpoint, 1).dtype == "float32"
    assert "computed in float32" in caplog.text
    assert "coarse 0.9" in caplog.text


def test_without_fast_int8_and_for_small_models_it_is_float32(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_auto(checkpoint, 1, "generic").dtype == "float32"
    monkeypatch.setattr(packed_files, "_LEAST_BYTES", 1 << 40)
    assert load_auto(checkpoint, 1).dtype == "float32"
    assert load_auto(checkpoint_in_memory(CONFIGS["tiny"]), 1).dtype == "float32"


def test_the_front_door_says_which_it_took(tiny_checkpoint_dir: Path) -> None:
    bark = Bark.load(tiny_checkpoint_dir, backend="native")
    assert bark.origin.dtype == bark.backend.dtype == "float32"
    assert Bark.load(tiny_checkpoint_dir, backend="native", dtype="int8").origin.dtype == "int8"
    assert Bark.load(tiny_checkpoint_dir, backend="native", dtype="auto").backend.dtype == "float32"
    pytest.importorskip("torch")
    assert Bark.load(tiny_checkpoint_dir, backend="torch").origin.dtype == "float32"

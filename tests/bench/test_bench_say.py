"""`openbark bench say`: formulas, children in their own processes, the report, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from openbark.backends.native.library import library_path, usable_cores
from openbark.bench.costs import Widths, clip_costs, decode_cost, prefill_operations
from openbark.bench.workload import Workload, history_of, load_model, model_config, text_ids
from openbark.checkpoints import checkpoint_of_random_weights, random, random_checkpoint
from openbark.cli.main import cli
from openbark.config import BarkConfig
from openbark.errors import MissingExtraError, ParamError, VoiceError

needs_engine = pytest.mark.skipif(not library_path().exists(), reason="no compiled engine")


@pytest.fixture
def bench() -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["bench", "say", *arguments])

    return run


def test_costs_are_those_of_the_physical_limits() -> None:
    """The figures of the published small sizes: 413 GFLOP of coarse prompts and 188 of fine passes per
    second of audio with a long voice, 94 MB of int8 weights and 18 MB of cache, a scale to 64 numbers, per step."""
    config = model_config("shape:small")
    workload = Workload()
    voice = history_of(workload, config)
    costs = clip_costs(config, workload.n_semantic(config), voice, Widths.of("int8"))
    assert costs["semantic"].steps == 499
    assert costs["coarse"].steps == 1500
    assert costs["coarse"].prompt_operations == pytest.approx(4.13e12, rel=0.02)
    # Two windows of six passes: 10 s and a history of 5 s do not fit into one.
    assert costs["fine"].steps == 12
    assert costs["fine"].operations == pytest.approx(12 * 213e9, rel=0.01)
    assert prefill_operations(config.coarse, 887) == pytest.approx(165e9, rel=0.01)
    step = decode_cost(config.coarse, 12_096, 916, Widths.of("int8"))
    assert step.decode_bytes == pytest.approx(94.2e6 + 18.0e6, rel=0.01)
    exact = decode_cost(config.coarse, 12_096, 916, Widths.of("float32"))
    assert exact.decode_bytes == pytest.approx(376.9e6 + 67.6e6, rel=0.01)


def test_random_weights_made_one_by_one_are_those_made_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "_ROWS_AT_ONCE", 7)
    config = BarkConfig.tiny()
    checkpoint = checkpoint_of_random_weights(config, seed=3)
    expected = random_checkpoint(config, seed=3)
    found = checkpoint.tensors("")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32
    assert not found["semantic.input_embeds_layer.weight"].flags.writeable


def test_no_clip_waits_for_a_codec_of_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    config = BarkConfig.tiny()
    expected = random_checkpoint(config)
    checkpoint = checkpoint_of_random_weights(config)

    def no_more_dice(tensor: random.RandomTensor) -> np.random.Generator:
        raise AssertionError(f"{tensor.name} is made when it is read")

    monkeypatch.setattr(random.RandomTensor, "_generator", no_more_dice)
    for name, array in checkpoint.tensors("codec_model.").items():
        np.testing.assert_array_equal(array, expected["codec_model." + name])
    with pytest.raises(AssertionError, match="lm_head"):
        _ = checkpoint.part("semantic.")["lm_head.weight"]


def test_the_same_workload_is_the_same_everywhere() -> None:
    workload = Workload("shape:tiny", 0.4)
    config = load_model(workload).config
    one, other = history_of(workload, config), history_of(workload, config)
    assert one is not None
    assert other is not None
    assert one.digest == other.digest
    assert one.semantic.shape == (309,)
    assert one.fine.shape == (8, 464)
    assert text_ids(config).max() + config.semantic_rules.text_encoding_offset < 200
    assert history_of(Workload("shape:tiny", 0.4, voice="none"), config) is None
    with pytest.raises(VoiceError):
        history_of(Workload("shape:tiny", 0.4, voice="nowhere.npz"), config)


@needs_engine
def test_the_report_has_every_stage_and_its_last_line_is_json(bench: Callable[..., Result]) -> None:
    pytest.importorskip("torch")
    result = bench(
        *("--model", "shape:tiny", "--seconds", "0.4", "--repeat", "2"),
        *("--dtype", "float32,int8:wide"),
        *("--against", "torch", "--peer-repeat", "1", "--threads", "1"),
    )
    assert result.exit_code == 0, result.output
    *lines, last = result.stdout.splitlines()
    assert any("times as fast as torch" in line for line in lines)
    report = json.loads(last)
    rows = report["contestants"]
    assert list(rows) == ["openbark float32", "openbark int8 wide", "torch"]
    # What takes as long as the peers runs as often as they do.
    assert [row["rounds"] for row in rows.values()] == [1, 2, 1]
    assert [row["window"] for row in rows.values()] == ["stock", "wide", "stock"]
    for row in rows.values():
        assert list(row["stages"]) == ["semantic", "coarse", "fine", "codec"]
        assert all(cell["seconds"] > 0 for cell in row["stages"].values())
        assert row["peak_megabytes"] > 10
    assert rows["openbark int8 wide"]["steps"]["decode"]["share"] > 0
    assert report["machine"]["read"] > 0
    assert report["faster"]["openbark int8 wide"]["torch"] == pytest.approx(
        rows["torch"]["seconds"] / rows["openbark int8 wide"]["seconds"]
    )


@needs_engine
def test_transformers_runs_a_folder_with_the_same_tokens(
    bench: Callable[..., Result], tiny_checkpoint_dir: Path
) -> None:
    pytest.importorskip("transformers")
    result = bench(
        *("--model", str(tiny_checkpoint_dir), "--seconds", "0.4", "--repeat", "1"),
        *("--against", "transformers", "--voice", "none", "--threads", "1"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["faster"]["openbark int8"]["transformers"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "shape:huge"), "shape:small"),
        (("--against", "bark.cpp"), "transformers, torch"),
        (("--dtype", "int3"), "int8"),
        (("--dtype", "int8:narrow"), "wide"),
        (("--window", "narrow"), "wide"),
        (("--repeat", "0"), "1 or more"),
        (("--seconds", "60"), "1 to 768"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    bench: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    result = bench(*arguments)
    assert result.exit_code == ParamError.exit_code
    assert message in result.stderr


@needs_engine
def test_an_error_of_a_child_keeps_its_kind(bench: Callable[..., Result]) -> None:
    if find_spec("transformers") is None:
        expected: int = MissingExtraError.exit_code
    else:
        expected = 1
    result = bench("--model", "shape:tiny", "--seconds", "0.4", "--against", "transformers")
    assert result.exit_code == expected
    assert "transformers" in result.stderr


@needs_engine
def test_more_threads_than_legal_is_the_engines_error(bench: Callable[..., Result]) -> None:
    result = bench("--model", "shape:tiny", "--seconds", "0.4", "--threads", "0")
    assert result.exit_code == ParamError.exit_code
    assert "threads is 0" in result.stderr


@needs_engine
def test_every_contestant_gets_the_cores_there_are(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        assert Workload(threads=999).threads == usable_cores()
    assert "threads=999" in caplog.text
    assert Workload().threads is None
    with pytest.raises(ParamError, match=r"threads is 1\.5"):
        Workload(threads=1.5)  # type: ignore[arg-type]

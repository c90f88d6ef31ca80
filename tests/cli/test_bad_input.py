"""Every bad input through the command line: exit code, message, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]

BAD = [
    ("empty text", ("",), 2, "the text is empty"),
    ("only spaces", ("  \n ",), 2, "the text holds only white space"),
    ("unreadable characters", ("привет",), 2, "п (U+043F)"),
    ("unknown voice", ("Hi.", "--voice", "en_7"), 2, "unknown voice 'en_7'; did you mean 'en_"),
    ("voice file that is not there", ("Hi.", "--voice", "x.npz"), 2, "no voice file at x.npz"),
    ("missing folder", ("Hi.", "--model", "nowhere"), 2, "no checkpoint folder at nowhere"),
    ("missing output folder", ("Hi.", "-o", "no/a.wav"), 2, "does not exist"),
    ("output folder that cannot be made", ("Hi.", "-o", "/dev/null/no/"), 2, "cannot make the folder"),
    ("unknown suffix", ("Hi.", "-o", "a.xyz"), 2, ".wav, .wave, .flac"),
    ("unknown format", ("Hi.", "--format", "wma"), 2, "'wma' is not one of 'wav'"),
    ("NaN temperature", ("Hi.", "--semantic-temperature", "nan"), 2,
     "semantic temperature must be a finite number, is nan"),
    ("negative temperature", ("Hi.", "--fine-temperature", "-1"), 2, "fine temperature is -1.0"),
    ("infinite temperature", ("Hi.", "--coarse-temperature", "inf"), 2, "coarse temperature"),
    ("top_p of 0", ("Hi.", "--semantic-top-p", "0"), 2, "semantic top_p is 0.0; allowed: 0 < p <= 1"),
    ("top_p over 1", ("Hi.", "--coarse-top-p", "1.5"), 2, "coarse top_p is 1.5"),
    ("top_k of 0", ("Hi.", "--semantic-top-k", "0"), 2, "semantic top_k is 0"),
    ("min_eos_p over 1", ("Hi.", "--min-eos-p", "2"), 2, "min_eos_p is 2.0"),
    ("negative seed", ("Hi.", "--seed", "-1"), 2, f"seed is -1; allowed: 0..{2**64 - 1}"),
    ("seed over 64 bits", ("Hi.", "--seed", str(2**64)), 2, f"seed is {2**64}"),
    ("seed that is not a number", ("Hi.", "--seed", "x"), 2, "'x' is not a valid int"),
    ("no duration", ("Hi.", "--max-seconds", "0"), 2, "max_semantic_seconds is 0.0"),
    ("no threads", ("Hi.", "--threads", "0"), 2, "threads is 0"),
    ("unknown device", ("Hi.", "--device", "warp"), 1, "device 'warp'"),
    ("unknown dtype", ("Hi.", "--dtype", "int3"), 2, "'int3' is not one of"),
    ("unknown option", ("Hi.", "--colour", "red"), 2, "No such option"),
    ("two texts", ("Hi.", "there"), 2, "unexpected extra argument 'there': quote"),
    ("no text", ("-o", "a.wav"), 2, "give a TEXT, - for stdin, or --file FILE"),
    ("missing text file", ("--file", "x.txt"), 2, "cannot read x.txt"),
    ("pattern without files", ("--file", "x*.txt"), 2, "no file matches x*.txt"),
    ("speed of 3", ("Hi.", "--speed", "3"), 2, "speed is 3.0; allowed: 0.5 to 2"),
    ("loudness of 0", ("Hi.", "--loudness", "0"), 2, "loudness is 0.0 LUFS; allowed: -70 to -5"),
    ("unknown policy", ("Hi.", "--policy", "x"), 2, "'x' is not one of 'anchor', 'chain', 'hybrid'"),
    ("unknown split", ("Hi.", "--split", "x"), 2, "'x' is not one of 'sentence'"),
    ("too many retries", ("Hi.", "--retries", "99"), 2, "retries is 99"),
    ("best of none", ("Hi.", "--best-of", "0"), 2, "best_of is 0"),
    ("timings of no kind", ("Hi.", "--timings", "a.txt"), 2, "ends in one of srt, vtt, json"),
    ("words without timings", ("Hi.", "--words"), 2, "--words is about --timings"),
    ("timings beside stdout", ("Hi.", "-o", "-", "--timings", "srt"), 2, "give it a file name"),
    ("sidecar beside stdout", ("Hi.", "-o", "-", "--sidecar"), 2, "give it a file name"),
    ("speaker without a voice", ("Hi.", "--speaker", "ANNA"), 2, "say NAME=VOICE"),
    ("script of no kind", ("Hi.", "--script", "play"), 2, "'play' is not one of 'text'"),
    ("sample rate of 1", ("Hi.", "--sample-rate", "1"), 2, "sample_rate is 1 Hz; allowed: 8000"),
    ("stream and a script", ("Hi.", "--stream", "-", "--script", "text"), 2, "leave out --script"),
    ("stream and a file", ("Hi.", "--stream", "-", "-o", "a.wav"), 2, "leave out -o"),
    ("stream and trim", ("Hi.", "--stream", "-", "--trim", "--json"), 2, "leave out --trim, --json"),
    ("low latency and no stream", ("Hi.", "--latency", "low"), 2, "give --stream"),
    ("low latency and retries",
     ("Hi.", "--stream", "-", "--latency", "low", "--retries", "1"), 2,
     "retries is 1 with latency 'low'; allowed: 'auto' or 0"),
    ("low latency and the best", ("Hi.", "--stream", "-", "--latency", "low", "--best-of", "2"), 2,
     "leave out best_of, or take latency 'sentence'"),
    ("stream to a file", ("Hi.", "--stream", "a.wav"), 2, "unexpected extra argument 'a.wav'"),
    ("greedy and a temperature", ("Hi.", "--greedy", "--fine-temperature", "1"), 2,
     "drop it, or --fine-temperature"),
    ("json and stdout", ("Hi.", "--json", "-o", "-"), 2, "both want stdout"),
    ("voice file to the wrong suffix", ("Hi.", "--save-voice", "a.wav"), 2, "must end in .npz"),
    ("voice file to nowhere", ("Hi.", "--save-voice", "no/a.npz"), 2, "does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "code", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])  # fmt: skip
def test_N19_bad_input(
    run: Run, model_folder: Path, tmp_path: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    model = () if "--model" in args else ("--model", str(model_folder))
    threads = () if "--threads" in args else ("--threads", "1")
    result = run("say", *args, *model, *threads)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_no_utf8(run: Run, model_folder: Path) -> None:
    result = run("say", "-", "--model", str(model_folder), stdin=b"caf\xe9")
    assert result.exit_code == 2
    assert "stdin is not UTF-8 text (byte 3)" in result.stderr


def good_arrays() -> dict[str, np.ndarray]:
    codes = np.random.default_rng(0).integers(0, 32, (8, 30))
    return {"semantic_prompt": np.arange(20), "coarse_prompt": codes[:2], "fine_prompt": codes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic_prompt": np.array([object()], dtype=object)}, "pickled Python objects"),
        ({"semantic_prompt": np.array([1.0, np.nan])}, "semantic holds float64 values"),
        ({"semantic_prompt": np.full(20, 9999)}, "semantic holds 9999, tiny has 0..99"),
        ({"coarse_prompt": np.zeros((3, 30), dtype=int)}, "coarse has 3 codebooks, tiny needs 2"),
        ({"fine_prompt": np.zeros(30, dtype=int)}, "fine has shape [30]"),
        ({"fine_prompt": None}, "lacks fine_prompt"),
    ],
)
def test_foreign_voice_files(
    run: Run, model_folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    content = {
        key: value for key, value in {**good_arrays(), **change}.items() if value is not None
    }
    np.savez(tmp_path / "v.npz", **content)  # type: ignore[arg-type]
    result = run("Hi.", "--model", str(model_folder), "--voice", "v.npz", "--threads", "1")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "speech.wav").exists()


def test_broken_voice_file(run: Run, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "v.npz").write_bytes(b"PK\x03\x04 not really")
    result = run("Hi.", "--model", str(model_folder), "--voice", "v.npz", "--threads", "1")
    assert result.exit_code == 2
    assert "v.npz cannot be read as a voice" in result.stderr


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_N19_half_a_checkpoint_names_what_is_missing(
    run: Run, model_folder: Path, tmp_path: Path, missing: str
) -> None:
    half = tmp_path / "half"
    shutil.copytree(model_folder, half)
    (half / missing).unlink()
    result = run("Hi.", "--model", str(half))
    assert result.exit_code == 2
    assert f"lacks {missing}" in result.stderr


def test_a_tensor_of_the_wrong_shape_is_named(run: Run, model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(model_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    name = "coarse_acoustics.lm_head.weight"
    tensors[name] = np.zeros((3, 16), dtype=np.float32)
    save_file(tensors, folder / "model.safetensors")
    result = run("Hi.", "--model", str(folder))
    assert result.exit_code == 1
    assert name in result.stderr
    assert "[3, 16]" in result.stderr
    assert "[180, 16]" in result.stderr


def test_a_config_that_is_no_json(run: Run, model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(model_folder, folder)
    (folder / "config.json").write_text("{")
    result = run("Hi.", "--model", str(folder))
    assert result.exit_code == 1
    assert "config.json" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_folder(run: Run, model_folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        result = run("Hi.", "--model", str(model_folder))
        assert result.exit_code == 2
        assert "cannot write speech.wav" in result.stderr
    finally:
        tmp_path.chmod(0o700)


def test_interrupt_leaves_no_file_and_exits_130(model_folder: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        # A parent that runs in the background hands SIGINT down ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from openbark.engine.stages import CoarseStage\n"
        "original = CoarseStage.__init__\n"
        "def interrupted(*arguments, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    original(*arguments, **options)\n"
        "CoarseStage.__init__ = interrupted\n"
        "from openbark.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "Hello.", "--model", str(model_folder), "--threads", "1",
         "--seed", "1", "--semantic-temperature", "1"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "error: interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_commands(run: Run, model_folder: Path) -> None:
    for args, message in (
        (("voices", "show", "en_9", "--model", str(model_folder)), "unknown voice 'en_9'"),
        (("voices", "list", "--model", "nowhere"), "no checkpoint folder at nowhere"),
        (("models", "show", "nowhere"), "no checkpoint folder at nowhere"),
        (("voices", "sing"), "No such command 'sing'"),
    ):
        result = run(*args)
        assert result.exit_code == 2, result.output
        assert message in result.stderr


def test_the_table_covers_the_issue() -> None:
    names = " ".join(row[0] for row in BAD)
    for part in ("empty", "spaces", "voice", "folder", "NaN", "top_p", "seed", "unknown option"):  # fmt: skip
        assert part in names

"""What a newcomer types in the first hour: terminals of any width, pipes, words that look like commands, help."""

from __future__ import annotations

import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import wave
from collections.abc import Callable, Mapping
from fcntl import ioctl
from pathlib import Path

import pytest
from click.testing import Result

from openbark.cli.choices import (
    BACKEND,
    DTYPE,
    FORMAT,
    LANGUAGE,
    LATENCY,
    MARKUP,
    POLICY,
    SCRIPT,
    SPLIT,
)
from openbark.cli.groups import printable
from openbark.cli.main import COMMANDS, cli
from openbark.params import SamplingParams
from openbark.progress import ProgressBar

Run = Callable[..., Result]

SHORT = ("--max-seconds", "0.2")
LONG = " ".join(f"Sentence {word} is here. And another one." for word in ("one", "two", "three"))


@pytest.fixture
def say(run: Run, model_folder: Path) -> Run:
    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return run(
            "say", *args, "--model", str(model_folder), "--threads", "1", *SHORT, stdin=stdin
        )

    return invoke


def on_terminal(command: list[str], columns: int, cwd: Path) -> tuple[int, str]:
    """Run with stderr on a terminal of so many columns: the exit code, and what it showed."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=child, stdin=child
    )
    os.close(child)
    shown = b""
    while True:
        try:
            ready = select.select([parent], [], [], 120)[0]
            block = os.read(parent, 4096) if ready else b""
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(parent)
    return process.wait(timeout=120), shown.decode()


TEN_TEXTS = """
import sys
from pathlib import Path
from openbark.api import Bark
from openbark.params import GenerationParams
from openbark.progress import ProgressBar
bark = Bark.load(sys.argv[1], threads=1)
params = GenerationParams(max_semantic_seconds=0.2)
for number in range(10):
    text = " ".join(f"Piece {each} of it is here." for each in "abcdefgh"[: 2 + number % 6])
    with ProgressBar() as bar:
        def past_its_estimate(stage, done, total):
            bar(stage, done * (1 + number), total)
        clip = bark.generate(text, seed=number, params=params, progress=past_its_estimate)
    clip.save(f"{number}.wav")
"""


@pytest.mark.parametrize("columns", [0, 40, 80, 200])
def test_ten_long_texts_on_a_terminal_are_each_written(
    model_folder: Path, tmp_path: Path, columns: int
) -> None:
    command = [sys.executable, "-c", TEN_TEXTS, str(model_folder)]
    code, shown = on_terminal(command, columns, tmp_path)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert "s of audio" in shown or columns in (0, 40)
    assert len(list(tmp_path.glob("*.wav"))) == 10


def test_a_text_of_several_pieces_on_a_terminal(model_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openbark", "say", LONG, "--model", str(model_folder),
               "--threads", "1", "--seed", "1", "-o", "a.wav", *SHORT]  # fmt: skip
    code, shown = on_terminal(command, 100, tmp_path)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert "file a.wav" in shown
    assert (tmp_path / "a.wav").is_file()


@pytest.mark.parametrize("total", [None, 0.0, 1.0, float("nan"), float("inf"), -1.0, 1e-9])
@pytest.mark.parametrize("done", [0.0, 0.5, 1.0, 1.6, 1e9, float("nan"), float("inf"), -1.0])
def test_no_report_can_end_the_work(
    monkeypatch: pytest.MonkeyPatch, done: float, total: float | None
) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    with ProgressBar() as bar:
        for stage in ("semantic", "speech", "speech"):
            bar(stage, 0.1, 5.0)
            bar(stage, done, total)
            bar._bar.refresh()
        with bar.hidden():
            pass


def test_a_terminal_that_goes_away_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Gone(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    with ProgressBar() as bar:
        for step in range(20):
            bar("speech", step, 10.0)


@pytest.mark.parametrize(
    ("args", "offer"),
    [
        (("list",), "openbark voices list"),
        (("voice",), "openbark voices"),
        (("voice", "list"), "openbark voices list"),
        (("model", "list"), "openbark models list"),
        (("trian",), "openbark train"),
        (("docter",), "openbark doctor"),
        (("download", "suno/bark-small"), "openbark models download"),
        (("play",), "openbark voices play"),
        (("list", "--json"), "openbark voices list"),
    ],
)
def test_words_typed_as_commands_are_not_spoken(
    run: Run, tmp_path: Path, args: tuple[str, ...], offer: str
) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert offer in result.stderr
    assert "openbark say" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_and_version_as_words(run: Run) -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help", "voices").stdout == run("voices", "--help").stdout
    assert run("version").stdout == run("--version").stdout
    assert run("voices", "lst").exit_code == 2
    assert "did you mean 'list'?" in run("voices", "lst").stderr
    assert "there are: export, import, list, play, " in run("voices", "sing").stderr


@pytest.mark.parametrize(
    "text", ["nofile.txt", "story.md", "a.wav", "notes/chapter.txt", "*.txt", "clip.srt", "b.PDF"]
)
def test_the_name_of_a_file_is_not_spoken(say: Run, run: Run, tmp_path: Path, text: str) -> None:
    for result in (say(text), run(text)):
        assert result.exit_code == 2
        assert "--file" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_offered_to_be_read(say: Run, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("Hello.")
    result = say("story.txt")
    assert result.exit_code == 2
    assert "openbark say --file story.txt" in result.stderr


@pytest.mark.parametrize("text", ["Hello.", "Stop", "he/she", "and/or", "List the files.", "hello"])
def test_ordinary_words_are_spoken(say: Run, run: Run, model_folder: Path, text: str) -> None:
    model = ("--model", str(model_folder), "--threads", "1", *SHORT)
    result = run(text.replace("/", " or "), "-q", *model)
    assert result.exit_code == 0, result.output


def test_a_text_and_a_file_are_not_both(say: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello.")
    result = say("Hi", "--file", "a.txt")
    assert result.exit_code == 2
    assert "give a text or --file, not both: 'Hi' is not a file" in result.stderr


def in_shell(
    line: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    program = f"{sys.executable} -m openbark"
    return subprocess.run(
        ["bash", "-c", line.replace("openbark", program)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def seconds(path: Path) -> float:
    with wave.open(str(path)) as stream:
        return stream.getnframes() / stream.getframerate()


def test_pipes_and_redirections(model_folder: Path, tmp_path: Path) -> None:
    model = f"--model {model_folder} --threads 1 --seed 1 {' '.join(SHORT)}"
    done = in_shell(f"echo Hi | openbark say {model} -o x.wav -q", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    done = in_shell(f"openbark Hi {model} -q > q.wav && openbark Hi {model} -q > q.flac", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "q.wav").read_bytes() == (tmp_path / "x.wav").read_bytes()
    assert (tmp_path / "q.flac").read_bytes()[:4] == b"fLaC"
    done = in_shell(f"openbark Hi {model} --stream > s.wav", tmp_path)
    assert done.returncode == 0, done.stderr
    done = in_shell(f"openbark Hi {model} --stream - | cat > t.wav", tmp_path)
    assert (tmp_path / "s.wav").read_bytes() == (tmp_path / "t.wav").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        "x.wav", "q.wav", "q.flac", "s.wav", "t.wav"
    }  # fmt: skip


def test_a_pipe_alone_is_spoken(tmp_path: Path) -> None:
    done = in_shell("echo Hi. | openbark", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"file speech.wav" in done.stderr.splitlines()[0]
    assert seconds(tmp_path / "speech.wav") > 0
    done = in_shell("printf '' | openbark", tmp_path)
    assert done.returncode == 2
    assert b"empty" in done.stderr


def test_closed_streams(model_folder: Path, tmp_path: Path) -> None:
    model = f"--model {model_folder} --threads 1 --seed 1 {' '.join(SHORT)}"
    done = in_shell(f"openbark Hi {model} -o a.wav 2>&-", tmp_path)
    assert done.returncode == 0
    assert seconds(tmp_path / "a.wav") > 0
    done = in_shell(f"openbark Hi {model} -o - >&-", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: stdout is closed")
    done = in_shell(f"openbark Hi {model} -o b.wav --json >&- 2>&-", tmp_path)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    done = in_shell(f"openbark - {model} <&-", tmp_path)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_links_in_a_circle_and_impossible_names(say: Run, tmp_path: Path) -> None:
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    for args in (("-o", "loop.wav"), ("-o", "loop.wav", "--force"), ("-o", "x" * 400 + ".wav")):
        result = say("Hi.", *args)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("error: cannot write")
        assert result.stderr.count("\n") == 1
    assert "error:" in say("--file", "x" * 5000).stderr
    assert "error:" in say("Hi.", "--voice", f"{'x' * 5000}.npz").stderr


def test_a_folder_is_made_for_several_texts(say: Run, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Hello.")
    assert say("--file", "*.txt", "-q", "-o", "out/deep/").exit_code == 0
    assert {path.name for path in (tmp_path / "out" / "deep").iterdir()} == {"a.wav", "b.wav"}
    result = say("--file", "*.txt", "-o", "one.wav")
    assert result.exit_code == 2
    assert "one.wav is one file for 2 texts; give a folder" in result.stderr


def test_a_home_folder_in_paths(say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "in.txt").write_text("Hello.")
    result = say(
        "--file", "~/in.txt", "-o", "~/out.wav", "--timings", "~/out.srt", "--save-voice", "~/v.npz",
        "--max-seconds", "0.6", "--greedy",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt", "out.wav", "out.srt", "v.npz"}
    assert say("Hi.", "-q", "--voice", "~/v.npz", "-o", "again.wav").exit_code == 0


def test_a_missing_voices_folder_is_said(
    say: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENBARK_VOICES", "/nonexist")
    assert say("Hi.", "-q").exit_code == 0
    assert "OPENBARK_VOICES names /nonexist, which is not a folder" in caplog.text


def test_the_summary_begins_with_the_file(say: Run) -> None:
    lines = say("Hi.", "--seed", "3", "-o", "a.wav").stderr.splitlines()
    assert lines[0].startswith("file a.wav: ")
    assert "none" not in lines[1]


ERRORS = (
    ("--nonsense",), ("Hi.", "--seed", "x"), ("Hi.", "--format", "wma"), ("Hi.", "there"), ("voices",
    "sing"), ("voices", "show"), ("say",), ("Hi.", "--voice", "nobody"), ("replay",), ("replay",
    "nothing.wav"), ("models", "show", "nowhere"), ("serve", "--port", "x"), ("voices", "remove", "x"),
    ("train", "embedded", "--preset", "huge"), ("coqui",), ("bench", "say", "--seconds", "x"),
)  # fmt: skip


@pytest.mark.parametrize("args", ERRORS, ids=" ".join)
def test_every_error_has_one_form_and_one_line(run: Run, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""


def test_control_characters_do_not_reach_the_terminal(run: Run) -> None:
    assert printable("a\x1b[31mb\u202ec\x9bd é\n") == "a\\x1b[31mb\\u202ec\\x9bd é\n"
    result = run("voices", "show", "\x1b[31mred")
    assert "\x1b" not in result.stderr


def test_say_help_is_grouped_and_shows_the_choices(run: Run) -> None:
    shown = run("say", "--help").stdout
    for part in (
        "Voice and model:",
        "Audio file:",
        "Sampling:",
        "[auto|native|torch]",
        "[wav|f32|",
    ):
        assert part in shown
    other = shown.partition("\nOther:")[2]
    assert [line.split()[0] for line in other.splitlines() if line.startswith("  -")] == [
        "-q,",
        "-h,",
    ]


def test_choices_are_those_of_the_library() -> None:
    from openbark.audio import FORMATS
    from openbark.backends.native.structs import DTYPES
    from openbark.backends.select import BACKENDS
    from openbark.engine.request import LATENCIES
    from openbark.longform.options import POLICIES, WHOLE
    from openbark.text.scripts.items import MARKUPS
    from openbark.text.scripts.read import SCRIPT_FORMATS
    from openbark.text.split.pieces import SPLITS
    from openbark.text.split.sentence_words import LANGUAGES

    assert set(FORMAT.choices) == {*FORMATS, "opus"}
    assert set(BACKEND.choices) == set(BACKENDS)
    assert set(POLICY.choices) == set(POLICIES)
    assert set(SPLIT.choices) == {*SPLITS, WHOLE}
    assert set(LATENCY.choices) == set(LATENCIES)
    assert set(SCRIPT.choices) == set(SCRIPT_FORMATS)
    assert set(MARKUP.choices) == set(MARKUPS)
    assert set(LANGUAGE.choices) == set(LANGUAGES)
    assert set(DTYPE.choices) == {*DTYPES, "auto", "float64"}


def completed(line: str, shell: str = "bash") -> list[str]:
    words = line.split(" ")
    env = {**os.environ, "_OPENBARK_COMPLETE": f"{shell}_complete", "COMP_WORDS": line,
           "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
    code = "from openbark.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    # One line each: kind,value.
    return [part.partition(",")[2] or part for part in done.stdout.splitlines()]


def test_the_shell_completes_commands_voices_formats_and_files(model_folder: Path) -> None:
    assert "voices" in completed("openbark vo")
    assert completed(f"openbark say --model {model_folder} --voice en_")[:2] == ["en_0", "en_1"]
    assert "flac" in completed("openbark Hello --format f")
    assert completed("openbark say -o ") == ["file,"]
    assert "play" in completed("openbark voices pl")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".local/share/bash-completion/completions/openbark"),
        ("zsh", ".zshrc"),
        ("fish", ".config/fish/completions/openbark.fish"),
    ],
)
def test_completion_is_installed_by_one_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, file: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    for _ in range(2):
        assert run("completion", "--install").exit_code == 0
    text = (tmp_path / file).read_text()
    assert text.count("_OPENBARK_COMPLETE") >= 1
    assert shell != "zsh" or text.count("eval") == 1
    assert "_OPENBARK_COMPLETE" in run("completion", shell).stdout
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "give the shell: bash, zsh, fish" in run("completion").stderr


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
for name in list(sys.modules):
    if name.partition(".")[0] in {names!r}:
        del sys.modules[name]
from openbark.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "args", "extra"),
    [
        ("torch", "train embedded --preset smoke --run run", "train"),
        ("torch", "train prepare . -o shards", "train"),
        ("torch", "train semantic --data d --run r -o out", "train"),
        ("torch", "train codec --data d --run r -o out", "train"),
        ("torch", "Hi --device cuda", "torch"),
        ("torch", "Hi --backend torch", "torch"),
        ("torch", "bench say --against torch --seconds 1 --repeat 1", "bench"),
        ("fastapi", "serve --port 0", "server"),
        ("uvicorn", "serve --port 0", "server"),
        ("pydantic_settings", "serve --port 0", "server"),
        ("prometheus_client", "serve --port 0", "server"),
        ("wyoming", "serve --port 0 --wyoming-port 0", "wyoming"),
        ("ray", "serve --port 0 --ray", "ray"),
        ("av", "Hi -o a.aac", "av"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_install_line(
    tmp_path: Path, missing: str, args: str, extra: str
) -> None:
    code = BLOCKED.format(names={missing})
    done = subprocess.run(
        [sys.executable, "-c", code, *args.split()], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert f"openbark[{extra}]" in lines[0]
    assert "pip install" in lines[0]


def test_every_command_is_in_the_table(run: Run) -> None:
    assert set(COMMANDS) == set(cli.list_commands(None))  # type: ignore[arg-type]


def test_voices_are_heard_and_removed(
    run: Run, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = model_folder / "voices" / "en_0.npz"
    shout = tmp_path / "shout.NPZ"
    shout.write_bytes(file.read_bytes())
    assert run("voices", "import", str(shout), "--name", "mine").exit_code == 0
    played = run("voices", "play", "mine", "--model", str(model_folder), "-o", "p.wav", "-q",
                 "--text", "Hi.")  # fmt: skip
    assert played.exit_code == 0, played.output
    assert seconds(tmp_path / "p.wav") > 0
    result = run("voices", "remove", "mine", "en_0")
    assert result.exit_code == 2
    assert "'en_0' is not an imported voice" in result.stderr
    assert "mine" in run("voices", "list", "--model", str(model_folder)).stdout
    assert run("voices", "remove", "mine").exit_code == 0
    assert "mine" not in run("voices", "list", "--model", str(model_folder)).stdout
    assert file.is_file()


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "-rf", "com1", "a/-x", "dot.", "v2/aux", "../x", ""]
)
def test_names_that_some_system_cannot_take_are_refused(
    run: Run, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = model_folder / "voices" / "en_0.npz"
    for args in (("import", str(file), f"--name={name}"), ("random", "--", name)):
        result = run("voices", *args)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("error: ")
    assert not (tmp_path / "data").exists()


def test_voices_list_says_what_a_voice_is(run: Run, model_folder: Path) -> None:
    assert "a few seconds of speech" in run("voices", "list", "--model", str(model_folder)).stderr
    assert json.loads(run("voices", "list", "--model", str(model_folder), "--json").stdout)


def test_bars_of_the_shims_are_not_printed_into_pipes(
    model_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from openbark.api import Bark
    from openbark.compat.suno.stage_runs import run_semantic_stage

    bark = Bark.load(model_folder, threads=1)
    run_semantic_stage(bark, "cpu", "Hi.", None, SamplingParams(), 0.2, True, silent=False)
    assert capfd.readouterr() == ("", "")

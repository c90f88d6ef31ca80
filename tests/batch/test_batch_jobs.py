"""`openbark batch` without a model: inputs, plan, layouts, quarantine, resume, and what a full disk does."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs the extra [batch]")

import numpy as np
import pyarrow
import pyarrow.parquet
from fake_batch_voice import MODEL, FakeMaker

from openbark.audio import encode_audio, read_audio
from openbark.batch import commit
from openbark.batch.commit import done_shards
from openbark.batch.jobs import BadLine, Line, line_seed, read_places
from openbark.batch.layouts import LAYOUTS, file_name
from openbark.batch.ogg import with_serial
from openbark.batch.plan import Shard, make_plan, read_plan
from openbark.batch.report import status
from openbark.batch.run import BatchOptions, TooManyFailuresError, run_batch
from openbark.batch.shard import ShardReport, ShardSettings, SpeakerMaker, run_shard
from openbark.errors import ParamError

ROWS = [
    {
        "id": f"a/{n}",
        "text": f"This is text number {n}, line\nbreak.",
        "voice": ["en_0", None][n % 2],
    }
    for n in range(20)
]


def in_process(
    shards: Sequence[Shard], settings: ShardSettings, maker: SpeakerMaker, n_workers: int
) -> Iterator[ShardReport]:
    speaker = maker.open()
    for shard in shards:
        yield run_shard(shard, settings, speaker)


def run(
    jobs: Path | Sequence[Path], output: Path, maker: FakeMaker | None = None, **options: Any
) -> dict[str, Any]:
    given = [str(path) for path in ([jobs] if isinstance(jobs, Path) else jobs)]
    settings = BatchOptions(**{"shard_lines": 6, **options})
    return run_batch(
        given, output, settings, maker or FakeMaker(), MODEL, in_process, lambda line: None
    )


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_twins(folder: Path) -> dict[str, Path]:
    """The same lines in every input format."""
    folder.mkdir(exist_ok=True)
    found = {"jsonl": write_jsonl(folder / "a.jsonl", ROWS)}
    found["csv"] = folder / "b.csv"
    with found["csv"].open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "text", "voice"])
        writer.writeheader()
        writer.writerows(ROWS)
    found["parquet"] = folder / "c.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), found["parquet"], row_group_size=7)
    lines = [
        {
            "custom_id": row["id"],
            "method": "POST",
            "url": "/v1/audio/speech",
            "body": {"model": "tts-1", "input": row["text"], "voice": row["voice"]},
        }
        for row in ROWS
    ]
    found["openai"] = write_jsonl(folder / "d.jsonl", lines)
    return found


def hashes(output: Path) -> dict[str, str]:
    table = pyarrow.parquet.read_table(output / "manifest-00000.parquet").to_pylist()
    return {row["id"]: row["sha256"] for row in table}


def tree(output: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name not in {"progress.json", "job.json", ".lock"}
    }


def test_twins_in_four_formats_give_the_same_audio(tmp_path: Path) -> None:
    found = {}
    for name, path in write_twins(tmp_path / "in").items():
        summary = run(path, tmp_path / name)
        assert (summary["spoken"], summary["quarantined"]) == (20, 0)
        found[name] = hashes(tmp_path / name)
    assert found["jsonl"] == found["csv"] == found["parquet"] == found["openai"]
    assert len(set(found["jsonl"].values())) == 20


def test_places_are_found_again_in_the_middle_of_a_file(tmp_path: Path) -> None:
    for path in write_twins(tmp_path).values():
        every = list(read_places(path))
        for place in every:
            again = next(read_places(path, place.start, place.number))
            assert again == place
        assert len(list(read_places(path, every[5].start, 6, 4))) == 4


def test_every_layout_holds_every_clip(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    found: dict[str, dict[str, bytes]] = {}
    for layout in LAYOUTS:
        run(jobs, tmp_path / layout, layout=layout, format="flac")
    found["tar"] = {}
    for path in (tmp_path / "tar").glob("*.tar"):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member) for member in tar}
        assert len(members) % 2 == 0
        with tarfile.open(path) as tar:
            for member in tar:
                stream = tar.extractfile(member)
                assert stream is not None
                if member.name.endswith(".json"):
                    facts = json.loads(stream.read())
                    sound = tar.extractfile(member.name.removesuffix(".json") + ".flac")
                    assert sound is not None
                    found["tar"][facts["id"]] = sound.read()
    found["files"] = {
        json.loads(path.read_bytes())["id"]: path.with_suffix(".flac").read_bytes()
        for path in (tmp_path / "files").glob("part-*/*.json")
    }
    found["parquet"] = {
        row["id"]: row["audio"]
        for path in (tmp_path / "parquet").glob("*.audio.parquet")
        for row in pyarrow.parquet.read_table(path).to_pylist()
    }
    answers = [
        json.loads(line)
        for path in (tmp_path / "openai").glob("part-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    found["openai"] = {
        each["custom_id"]: base64.b64decode(each["response"]["body"]["audio"]) for each in answers
    }
    assert set(found["tar"]) == {row["id"] for row in ROWS}
    assert found["tar"] == found["files"] == found["parquet"] == found["openai"]
    clip = tmp_path / "clip.flac"
    clip.write_bytes(found["tar"]["a/3"])
    assert len(read_audio(clip)[0]) == 600


def test_offsets_in_the_manifest_find_each_clip_in_its_tar(tmp_path: Path) -> None:
    run(write_jsonl(tmp_path / "jobs.jsonl", ROWS), tmp_path / "out")
    rows = commit.read_manifest(tmp_path / "out" / "part-000001.parquet")
    data = (tmp_path / "out" / "part-000001.tar").read_bytes()
    for row in rows:
        with tarfile.open(fileobj=io.BytesIO(data[row["offset"] :])) as tar:
            assert tar.next().name == f"{file_name(row['id'])}.opus"  # type: ignore[union-attr]


def test_planted_bad_lines_and_no_others_are_in_quarantine(tmp_path: Path) -> None:
    planted = [
        '{"id": "no-json"',
        json.dumps({"id": "no-text"}),
        json.dumps({"id": "empty", "text": "  "}),
        json.dumps({"id": "unknown-field", "text": "Hi.", "speed": 2}),
        json.dumps({"id": "seed", "text": "Hi.", "seed": -1}),
        json.dumps({"id": "voice", "text": "Hi.", "voice": "nobody"}),
        json.dumps({"id": "never", "text": "never"}),
    ]
    good = [json.dumps(row) for row in ROWS] + [json.dumps({"id": "alone", "text": "alone"})]
    lines = good[:3] + planted[:4] + good[3:] + planted[4:]
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = run(jobs, tmp_path / "out")
    assert (summary["spoken"], summary["quarantined"]) == (21, 7)
    failed = [
        json.loads(line)
        for path in sorted((tmp_path / "out").glob("quarantine-*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    ids = {each["id"] for each in failed}
    assert ids == {None, "no-text", "empty", "unknown-field", "seed", "voice", "never"}
    attempts = {each["id"]: (each["type"], each["attempts"]) for each in failed}
    assert attempts["voice"] == ("VoiceError", 1) and attempts["never"] == ("DeviceError", 3)
    assert all(each["line"].startswith(str(jobs)) and each["message"] for each in failed)
    rows = commit.read_manifest(tmp_path / "out" / "manifest-00000.parquet")
    tries = {row["id"]: row["attempts"] for row in rows if row["status"] == "ok"}
    assert tries.pop("alone") == 3 and set(tries.values()) == {1}
    assert status(tmp_path / "out")["quarantined"] == 7


def test_too_many_failures_stop_early_and_are_resumed(tmp_path: Path) -> None:
    rows = [*ROWS, {"id": "x", "text": "Hi.", "voice": "nobody"}]
    jobs = write_jsonl(tmp_path / "jobs.jsonl", rows)
    with pytest.raises(TooManyFailuresError, match="1 lines failed"):
        run(jobs, tmp_path / "out", max_failures="1%")
    assert run(jobs, tmp_path / "out", max_failures="10%", resume=True)["quarantined"] == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"layout": "files"}, "layout"),
        ({"format": "wav"}, "format"),
        ({"shard_lines": 3}, "shard lines"),
    ],
)
def test_resuming_with_another_setting_names_it(
    tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    run(jobs, tmp_path / "out")
    with pytest.raises(ParamError, match=f"planned with {word}"):
        run(jobs, tmp_path / "out", resume=True, **change)


def test_resuming_with_other_jobs_or_model_is_refused(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    run(jobs, tmp_path / "out")
    with pytest.raises(ParamError, match="weights 'fake'"):
        run_batch(
            [str(jobs)],
            tmp_path / "out",
            BatchOptions(shard_lines=6, resume=True),
            FakeMaker(),
            {**MODEL, "weights": "other"},
            in_process,
            lambda line: None,
        )
    write_jsonl(jobs, ROWS[:-1])
    with pytest.raises(ParamError, match="not the same now"):
        run(jobs, tmp_path / "out", resume=True)


def test_folders_that_hold_something_are_refused(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    with pytest.raises(ParamError, match="not empty"):
        run(jobs, tmp_path)
    run(jobs, tmp_path / "out")
    with pytest.raises(ParamError, match="--resume"):
        run(jobs, tmp_path / "out")


def test_a_resumed_run_speaks_what_is_missing_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    run(jobs, tmp_path / "whole")
    expected = tree(tmp_path / "whole")
    output, log = tmp_path / "out", tmp_path / "log"
    run(jobs, output, FakeMaker(log=str(log)))
    for name in ("part-000001.parquet", "summary.json", "manifest-00000.parquet"):
        (output / name).unlink()
    (output / "part-000002.parquet").unlink()
    (output / "part-000002.tar").unlink()
    (output / ".tmp-left").write_bytes(b"half")
    log.unlink()
    run(jobs, output, FakeMaker(log=str(log)), resume=True)
    assert tree(output) == expected
    assert len(log.read_text().splitlines()) == 12


def test_an_id_that_comes_twice_is_named_with_its_places(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", ROWS)
    two = write_jsonl(tmp_path / "two.jsonl", [{"id": "new", "text": "A."}, ROWS[4]])
    with pytest.raises(ParamError, match=r"'a/4' comes 2 times.*one\.jsonl:5 and .*two\.jsonl:2"):
        run([one, two], tmp_path / "out")
    assert not (tmp_path / "out" / "job.json").exists()
    assert (
        run([one, write_jsonl(two, [{"id": "new", "text": "A."}])], tmp_path / "out")["spoken"]
        == 21
    )


def test_seeds_follow_from_the_id_alone(tmp_path: Path) -> None:
    assert line_seed(Line("a", "x"), 0) == line_seed(Line("a", "y"), 0)
    assert line_seed(Line("a", "x"), 0) != line_seed(Line("b", "x"), 0)
    assert line_seed(Line("a", "x"), 0) != line_seed(Line("a", "x"), 1)
    assert line_seed(Line("a", "x", seed=7), 0) == 7
    forward = write_jsonl(tmp_path / "f.jsonl", ROWS)
    backward = write_jsonl(tmp_path / "b.jsonl", ROWS[::-1])
    run(forward, tmp_path / "out1")
    run(backward, tmp_path / "out2", shard_lines=3)
    assert hashes(tmp_path / "out1") == hashes(tmp_path / "out2")


def test_shards_are_bounded_in_lines_and_in_seconds(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "word " * 40} for n in range(30)]
    rows.append({"id": "long", "text": "word " * 2000})
    plan = make_plan([write_jsonl(tmp_path / "a.jsonl", rows)], {}, 60.0, 8)
    assert plan.n_lines == 31 and sum(s.n_lines for s in plan.shards) == 31
    assert all(s.n_lines <= 8 for s in plan.shards)
    assert all(s.seconds <= 60 or s.n_lines == 1 for s in plan.shards)
    assert [s.index for s in plan.shards] == list(range(len(plan.shards)))


@pytest.mark.parametrize(
    "name", ["a/b", "a.b", "ä", "x" * 500, "A", "a", "..", "", "con", "a b", "~", "%41"]
)
def test_names_of_files_are_safe_and_differ(name: str) -> None:
    found = file_name(name)
    assert all(letter.isalnum() or letter in "-_%" for letter in found) and found.isascii()
    assert len(found) <= 120
    assert file_name("%41") != file_name("A")


def test_ids_that_share_a_cut_name_or_differ_by_case_keep_their_files(tmp_path: Path) -> None:
    rows = [
        {"id": i, "text": f"Text of {i[-2:]}."}
        for i in ("x" * 300 + "1", "x" * 300 + "2", "B", "b")
    ]
    run(write_jsonl(tmp_path / "jobs.jsonl", rows), tmp_path / "out", layout="files")
    files = list((tmp_path / "out").glob("part-*/*.opus"))
    assert len({path.name.lower() for path in files}) == 4


def test_a_full_disk_leaves_nothing_half_visible_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    run(jobs, tmp_path / "whole")
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if 6 <= len(calls) < 8:
            raise OSError(28, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(commit.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run(jobs, tmp_path / "out")
    visible = [path for path in (tmp_path / "out").iterdir() if path.name.startswith("part-")]
    for path in visible:
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert not list((tmp_path / "out").glob(".tmp-*"))
    run(jobs, tmp_path / "out", resume=True)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)

    def and_another(*given: Any) -> Iterator[ShardReport]:
        with pytest.raises(OSError, match="Resource temporarily unavailable"):
            run(jobs, tmp_path / "out", resume=True)
        return in_process(*given)

    run_batch(
        [str(jobs)],
        tmp_path / "out",
        BatchOptions(),
        FakeMaker(),
        MODEL,
        and_another,
        lambda line: None,
    )


def test_status_reads_files_only(tmp_path: Path) -> None:
    with pytest.raises(ParamError, match="holds no batch"):
        status(tmp_path)
    run(write_jsonl(tmp_path / "jobs.jsonl", ROWS), tmp_path / "out")
    found = status(tmp_path / "out")
    assert found["lines"] == found["lines_done"] == 20
    assert found["shards"] == found["shards_done"] == 4 and found["finished"]
    (tmp_path / "out" / "part-000000.parquet").unlink()
    assert status(tmp_path / "out")["lines_done"] == 14


def test_a_file_that_was_changed_under_a_run_is_noticed(tmp_path: Path) -> None:
    jobs = write_jsonl(tmp_path / "jobs.jsonl", ROWS)
    run(jobs, tmp_path / "out")
    plan = read_plan(tmp_path / "out")
    assert plan is not None
    write_jsonl(jobs, ROWS[:2])
    settings = ShardSettings(str(tmp_path / "out"), "tar", "opus", 0)
    with pytest.raises(ParamError, match="the file was changed"):
        run_shard(plan.shards[0], settings, FakeMaker().open())


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "zip"},
        {"format": "ogg"},
        {"seed": -1},
        {"n_workers": 0},
        {"shard_lines": 0},
        {"shard_seconds": 0.0},
        {"max_failures": "many"},
        {"max_failures": "101%"},
        {"max_failures": "-1"},
    ],
)
def test_options_outside_their_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParamError):
        BatchOptions(**options)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b"[1, 2]\n"),
        ("a.jsonl", b'"text"\n'),
        ("a.jsonl", b"\xff\xfe\n"),
        ("a.csv", b"id,text\n1,Hi.,extra\n"),
        ("a.csv", b"id,text\n1\n"),
        ("a.jsonl", b'{"custom_id": "a", "url": "/v1/chat", "body": {"input": "Hi."}}\n'),
        ("a.jsonl", b'{"custom_id": "a", "body": {"input": "Hi.", "speed": 2}}\n'),
        ("a.jsonl", b'{"id": true, "text": "Hi."}\n'),
        ("a.jsonl", b'{"id": "a", "text": "Hi.", "params": {"tempo": 1}}\n'),
    ],
)
def test_lines_that_are_none_become_bad_lines(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (place,) = read_places(path)
    assert isinstance(place.line, BadLine) and str(place.line.error)


def test_names_in_the_output_count_only_when_they_are_manifests(tmp_path: Path) -> None:
    for name in ("part-000003.parquet", "part-000004.audio.parquet", "part-000005.tar", ".tmp-1"):
        (tmp_path / name).touch()
    assert done_shards(tmp_path) == {3}


def test_an_ogg_file_keeps_its_sound_under_another_serial(tmp_path: Path) -> None:
    waveform = np.sin(np.arange(48_000, dtype=np.float32) / 20).astype(np.float32)
    one, two = (encode_audio(waveform, 24_000, "ogg") for _ in range(2))
    assert with_serial(one, 7) == with_serial(two, 7) != with_serial(one, 8)
    # Checksums of the encoder's own serial come out as it wrote them.
    assert with_serial(one, int.from_bytes(one[14:18], "little")) == one
    for name, data in (("a.opus", one), ("b.opus", with_serial(one, 7))):
        (tmp_path / name).write_bytes(data)
    assert np.array_equal(read_audio(tmp_path / "a.opus")[0], read_audio(tmp_path / "b.opus")[0])
    for broken in (b"RIFF" + one[4:], one[:-1], one + b"x"):
        with pytest.raises(ValueError, match="no Ogg page"):
            with_serial(broken, 7)

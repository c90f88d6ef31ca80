"""Downloads that go wrong on the way: cut, killed, corrupt, without a place to go. N13: nothing whole is deleted."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_runs import NAME, SMALL_CHUNKS, openbark, start
from loopback_hub import Hub
from waiting import DEADLINE_SECONDS, wait_until

WEIGHTS = "model.safetensors"
ARGS = ("models", "download", NAME)


def partial_files(place: Path) -> list[Path]:
    return [*place.rglob("*.openbark.incomplete")]


def begins_at(asked: str | None) -> int:
    return int((asked or "bytes=0-").removeprefix("bytes=").split("-")[0])


def test_a_cut_connection_is_resumed(hub: Hub, tmp_path: Path) -> None:
    hub.cut.add(WEIGHTS)
    done = openbark(
        hub, tmp_path, *ARGS, "--dir", "here", "--revision", "main", before=SMALL_CHUNKS
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    first, second = hub.ranges(WEIGHTS)
    assert first is None
    assert begins_at(second) > 0


@pytest.mark.parametrize("place", ["cache", "folder"])
def test_a_killed_download_is_resumed_by_the_next_process(
    hub: Hub, tmp_path: Path, place: str
) -> None:
    """Killed, so that nothing could be tidied up or written down."""
    hub.stall.add(WEIGHTS)
    args = ARGS if place == "cache" else (*ARGS, "--dir", "here")
    half = len(hub.files[WEIGHTS]) // 2
    with start(hub, tmp_path, *args, before=SMALL_CHUNKS) as process:
        assert hub.stalled.wait(DEADLINE_SECONDS)
        wait_until(lambda: any(path.stat().st_size > half // 2 for path in partial_files(tmp_path)))
        process.kill()
    hub.released.set()
    (partial,) = partial_files(tmp_path)
    arrived = partial.stat().st_size
    assert 0 < arrived <= half
    done = openbark(hub, tmp_path, *args, before=SMALL_CHUNKS)
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip()) / WEIGHTS
    if place == "folder":
        found = tmp_path / "here" / WEIGHTS
    assert found.read_bytes() == hub.files[WEIGHTS]
    assert [begins_at(asked) for asked in hub.ranges(WEIGHTS)] == [0, arrived]
    assert partial_files(tmp_path) == []


def beginning(home: Path, data: bytes, content: bytes) -> Path:
    """What an earlier process left of a file, in the folder `here`."""
    place = home / "here" / ".cache" / "openbark"
    place.mkdir(parents=True)
    path = place / f"{hashlib.sha256(data).hexdigest()}.openbark.incomplete"
    path.write_bytes(content)
    return path


def test_a_server_that_sends_the_whole_again(hub: Hub, tmp_path: Path) -> None:
    data = hub.files[WEIGHTS]
    beginning(tmp_path, data, data[:5000])
    hub.answers_ranges = False
    done = openbark(hub, tmp_path, *ARGS, "--dir", "here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / WEIGHTS).read_bytes() == data


def test_a_broken_beginning_is_thrown_away_and_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    data = hub.files[WEIGHTS]
    partial = beginning(tmp_path, data, b"?" * 5000)
    first = openbark(hub, tmp_path, *ARGS, "--dir", "here")
    assert first.returncode == 1
    assert "hub promised" in first.stderr and "say the same again" in first.stderr
    assert not partial.exists() and not (tmp_path / "here" / WEIGHTS).exists()
    assert openbark(hub, tmp_path, *ARGS, "--dir", "here").returncode == 0
    assert (tmp_path / "here" / WEIGHTS).read_bytes() == data


@pytest.mark.parametrize("same_size", [True, False])
def test_a_corrupt_file_never_gets_a_name(hub: Hub, tmp_path: Path, same_size: bool) -> None:
    data = hub.files[WEIGHTS]
    hub.promised[WEIGHTS] = (data[:-1] + b"?") if same_size else data + b"more"
    done = openbark(hub, tmp_path, *ARGS)
    assert done.returncode == 1
    assert "hub promised" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*(tmp_path / "hf").rglob(WEIGHTS)]


def test_N13_a_file_that_rots_in_the_cache_is_named_and_kept(hub: Hub, tmp_path: Path) -> None:
    done = openbark(hub, tmp_path, *ARGS)
    blob = (Path(done.stdout.strip()) / WEIGHTS).resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    for offline in (False, True):
        again = openbark(hub, tmp_path, *ARGS, offline=offline)
        assert again.returncode == 1
        assert "hub promised" in again.stderr and "delete that file" in again.stderr
        assert blob.read_bytes() == data


@pytest.fixture
def tiny_disk(hub: Hub, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for half the model; only root can have one."""
    place = tmp_path / "disk"
    place.mkdir()
    size = sum(map(len, hub.files.values())) // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("cannot mount a file system here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("where", ["cache", "folder"])
def test_a_disk_that_is_full(hub: Hub, tmp_path: Path, tiny_disk: Path, where: str) -> None:
    args = ARGS if where == "cache" else (*ARGS, "--dir", str(tiny_disk / "here"))
    done = openbark(hub, tmp_path, *args, hf=tiny_disk / "hf" if where == "cache" else None)
    assert done.returncode == 1
    assert f"no space left for {NAME} in {tiny_disk}" in done.stderr
    assert "--dir" in done.stderr and "Traceback" not in done.stderr
    assert not [*tiny_disk.rglob(WEIGHTS)]


def test_a_folder_that_cannot_be_made(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = openbark(hub, tmp_path, *ARGS, "--dir", "file/below")
    assert done.returncode in (1, 2)
    assert "file/below" in done.stderr and "Traceback" not in done.stderr

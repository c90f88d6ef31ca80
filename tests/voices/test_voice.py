from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from openbark.config import BarkConfig
from openbark.errors import VoiceError
from openbark.voices.library import VoiceLibrary
from openbark.voices.npz import MAX_VOICE_BYTES
from openbark.voices.voice import Voice

SUNO_VOICES = Path(__file__).parents[3] / "shared" / "voices"
CONFIG = BarkConfig.tiny()


def arrays(n_semantic: int = 20, n_frames: int = 30, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    fine = generator.integers(0, CONFIG.codebook_size, (8, n_frames))
    return {
        "semantic_prompt": generator.integers(0, 100, n_semantic),
        "coarse_prompt": fine[:2],
        "fine_prompt": fine,
    }


def changed(key: str, value: object) -> dict[str, object]:
    return {**arrays(), key: value}


def saved(path: Path, content: dict[str, object], compressed: bool = False) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **content)  # type: ignore[arg-type]
    return path


def test_a_good_voice_is_valid() -> None:
    voice = Voice.from_arrays(arrays(), "me", {"language": "en"})
    voice.validate(CONFIG)
    assert voice.semantic.dtype == voice.coarse.dtype == voice.fine.dtype == np.int64
    assert voice.seconds(CONFIG) == pytest.approx(30 / 75)
    assert voice.metadata["language"] == "en"


def test_arrays_are_copies_and_read_only() -> None:
    source = arrays()
    voice = Voice.from_arrays(source)
    source["semantic_prompt"][0] = 99
    assert voice.semantic[0] != 99
    with pytest.raises(ValueError, match="read-only"):
        voice.semantic[0] = 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint64"])
def test_S41_every_integer_type_is_read(dtype: str) -> None:
    voice = Voice.from_arrays({key: value.astype(dtype) for key, value in arrays().items()})
    voice.validate(CONFIG)
    assert np.array_equal(voice.fine, arrays()["fine_prompt"])


@pytest.mark.parametrize("key", ["semantic_prompt", "coarse_prompt", "fine_prompt"])
def test_S39_missing_keys_are_named(key: str) -> None:
    content = arrays()
    del content[key]
    with pytest.raises(VoiceError, match=f"lacks {key} "):
        Voice.from_arrays(content)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("semantic_prompt", np.array([1.0, np.nan]), "semantic holds float64"),
        ("fine_prompt", arrays()["fine_prompt"].astype(float), "fine holds float64"),
        ("coarse_prompt", arrays()["coarse_prompt"] > 3, "coarse holds bool"),
        ("semantic_prompt", np.zeros((1, 20), dtype=int), r"semantic has shape \[1, 20\].*\[T\]"),
        ("semantic_prompt", np.int64(3), r"semantic has shape \[\]"),
        ("coarse_prompt", np.zeros(30, dtype=int), r"coarse has shape \[30\].*\[K, F\]"),
        ("fine_prompt", np.zeros((1, 8, 30), dtype=int), r"fine has shape \[1, 8, 30\]"),
    ],
)
def test_wrong_type_and_shape_are_refused_at_once(key: str, value: object, message: str) -> None:
    with pytest.raises(VoiceError, match=message):
        Voice.from_arrays(changed(key, value))


def _with(key: str, position: tuple[int, ...], value: int) -> dict[str, object]:
    content = {name: array.astype(np.int64) for name, array in arrays().items()}
    content[key] = content[key].copy()
    content[key][position] = value
    return dict(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_with("semantic_prompt", (3,), 100), r"semantic holds 100, tiny has 0\.\.99"),
        (_with("semantic_prompt", (3,), -1), "semantic holds -1"),
        (_with("coarse_prompt", (0, 1), 32), r"coarse holds 32, tiny has 0\.\.31"),
        (_with("fine_prompt", (7, 1), 1024), "fine holds 1024"),
        (_with("fine_prompt", (0, 5), 31), "coarse differs from the first 2 rows"),
        (changed("semantic_prompt", np.zeros(0, dtype=int)), "semantic is empty"),
        (changed("coarse_prompt", np.zeros((3, 30), dtype=int)), "coarse has 3 codebooks, tiny needs 2"),
        (changed("fine_prompt", np.zeros((4, 30), dtype=int)), "fine has 4 codebooks, tiny needs 8"),
        (changed("coarse_prompt", np.zeros((2, 29), dtype=int)), "coarse has 29 frames and fine 30"),
        (dict(arrays(n_semantic=30)), r"30 frames for 30 semantic tokens are 1\.0 .* needs 1\.5"),
        (dict(arrays(n_semantic=1, n_frames=1)), "a second or more"),
    ],
)  # fmt: skip
def test_S31_S37_B18_arrays_that_do_not_fit_the_model_are_named(
    content: dict[str, object], message: str
) -> None:
    voice = Voice.from_arrays(content, "me")
    with pytest.raises(VoiceError, match=message) as caught:
        voice.validate(CONFIG)
    assert "voice 'me'" in str(caught.value)


def test_a_token_beyond_int64_does_not_wrap_into_range() -> None:
    huge = np.full(20, 2**64 - 1, dtype=np.uint64)
    with pytest.raises(VoiceError, match="semantic holds"):
        Voice.from_arrays(changed("semantic_prompt", huge)).validate(CONFIG)


def test_save_and_load_return_the_same_voice(tmp_path: Path) -> None:
    voice = Voice.from_arrays(arrays(), "me", {"language": "en", "consent": True, "é": "ü"})
    voice.save(tmp_path / "me.npz")
    again = Voice.load(tmp_path / "me.npz")
    assert again.name == "me"
    assert dict(again.metadata) == dict(voice.metadata)
    for field in ("semantic", "coarse", "fine"):
        assert np.array_equal(getattr(again, field), getattr(voice, field))


def test_C3_saved_file_is_suno_s(tmp_path: Path) -> None:
    Voice.from_arrays(arrays()).save(tmp_path / "me.npz")
    with np.load(tmp_path / "me.npz", allow_pickle=False) as content:
        assert set(content) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
        assert np.array_equal(content["fine_prompt"], arrays()["fine_prompt"])


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    voice = Voice.from_arrays(arrays(), "me", {"b": 1, "a": 2})
    voice.save(tmp_path / "1.npz")
    voice.save(tmp_path / "2.npz")
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_unwritable_targets_are_typed(tmp_path: Path) -> None:
    voice = Voice.from_arrays(arrays())
    with pytest.raises(VoiceError, match="nowhere does not exist"):
        voice.save(tmp_path / "nowhere" / "me.npz")
    with pytest.raises(VoiceError, match=r"must end in \.npz"):
        voice.save(tmp_path / "me.wav")
    with pytest.raises(VoiceError, match="cannot be saved"):
        Voice.from_arrays(arrays(), metadata={"x": object()}).save(tmp_path / "me.npz")
    assert list(tmp_path.iterdir()) == []


def test_C3_compressed_and_foreign_extra_arrays_are_accepted(tmp_path: Path) -> None:
    content = {**arrays(), "name": np.array("Bob"), "desc": np.array("deep")}
    voice = Voice.load(saved(tmp_path / "bob.npz", content, compressed=True))
    voice.validate(CONFIG)
    assert voice.name == "bob"


def test_extra_pickles_are_not_touched(tmp_path: Path) -> None:
    content = {**arrays(), "extra": np.array([{"a": 1}], dtype=object)}
    Voice.load(saved(tmp_path / "bob.npz", content)).validate(CONFIG)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code ran')",))


def test_N13_pickled_arrays_are_refused_without_running_them(tmp_path: Path) -> None:
    bad = changed("semantic_prompt", np.array([_Bomb()], dtype=object))
    with pytest.raises(VoiceError, match="pickled Python objects"):
        Voice.load(saved(tmp_path / "bad.npz", bad))


def test_a_missing_key_names_what_the_file_has(tmp_path: Path) -> None:
    content = arrays()
    content["audio"] = content.pop("fine_prompt")
    with pytest.raises(VoiceError, match=r"lacks fine_prompt .*audio"):
        Voice.load(saved(tmp_path / "foreign.npz", dict(content)))


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 200])
def test_files_that_are_no_archives_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(data)
    with pytest.raises(VoiceError, match=r"bad\.npz cannot be read as a voice"):
        Voice.load(path)


def test_a_plain_npy_file_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "array.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(VoiceError, match="cannot be read"):
        Voice.load(tmp_path / "array.npz")
    with pytest.raises(VoiceError, match="no voice file"):
        Voice.load(tmp_path / "absent.npz")


def test_truncated_and_corrupted_files_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.npz", dict(arrays()), compressed=True).read_bytes()
    path = tmp_path / "b.npz"
    for damaged in (whole[: len(whole) // 2], whole[:80] + b"\xff" * 40 + whole[120:]):
        path.write_bytes(damaged)
        with pytest.raises(VoiceError):
            Voice.load(path)


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in arrays():
            archive.writestr(f"{key}.npy", bytes(MAX_VOICE_BYTES // 2))
    assert path.stat().st_size < 2**20
    with pytest.raises(VoiceError, match="unpacks to"):
        Voice.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused_unread(tmp_path: Path, method: int) -> None:
    """LZMA allocates as much as its header says, a gigabyte for a damaged one."""
    stored = saved(tmp_path / "a.npz", dict(arrays()))
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(tmp_path / "b.npz", "w", method) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(VoiceError, match="in a way that numpy does not write"):
        Voice.load(tmp_path / "b.npz")


def test_a_header_that_asks_for_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "liar.npz"
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
    liar = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.encode() + b"\n" + bytes(8)
    with zipfile.ZipFile(path, "w") as archive:
        for key in arrays():
            archive.writestr(f"{key}.npy", liar)
    with pytest.raises(VoiceError, match="damaged"):
        Voice.load(path)


@pytest.mark.parametrize("text", ["[1]", "{", '"x"'])
def test_broken_metadata_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(VoiceError):
        Voice.load(saved(tmp_path / "a.npz", {**arrays(), "metadata": np.array(text)}))


def test_metadata_is_json_text(tmp_path: Path) -> None:
    Voice.from_arrays(arrays(), metadata={"licence": "MIT"}).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as content:
        assert json.loads(str(content["metadata"])) == {"licence": "MIT"}


@pytest.mark.skipif(not SUNO_VOICES.is_dir(), reason="Suno's presets are not at hand")
def test_S41_all_of_suno_s_presets_load_and_validate() -> None:
    library = VoiceLibrary([SUNO_VOICES])
    config = BarkConfig()
    assert len(library) == 271
    for name in library:
        voice = library.get(name)
        voice.validate(config)
        assert voice.name == name
        assert len(voice.fine[0]) == int(len(voice.semantic) * 75 / 49.9)
        assert {array.dtype for array in (voice.semantic, voice.coarse, voice.fine)} == {
            np.dtype(np.int64)
        }
    with np.load(SUNO_VOICES / "announcer.npz") as stored:
        assert stored["fine_prompt"].dtype == np.uint16
    with pytest.raises(VoiceError, match="'v2/en_speaker_6'"):
        library.get("v2/en_speaker_66")


@pytest.mark.skipif(not SUNO_VOICES.is_dir(), reason="Suno's presets are not at hand")
def test_a_voice_of_another_model_is_refused() -> None:
    voice = VoiceLibrary([SUNO_VOICES]).get("announcer")
    with pytest.raises(VoiceError, match="belongs to another model"):
        voice.validate(CONFIG)

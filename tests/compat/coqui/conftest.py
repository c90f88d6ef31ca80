from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from coqui_arrays import coqui_arrays


@pytest.fixture
def voice_folder(tmp_path: Path) -> Path:
    """Coqui's layout of 0.22 with one voice, and one that has to be cloned."""
    folder = tmp_path / "bark_voices"
    (folder / "ljspeech").mkdir(parents=True)
    np.savez(folder / "ljspeech" / "speaker.npz", **coqui_arrays())
    (folder / "ljspeech" / "speaker.wav").write_bytes(b"RIFF")
    (folder / "new_speaker").mkdir()
    (folder / "new_speaker" / "speaker.mp3").write_bytes(b"ID3")
    return folder


@pytest.fixture(autouse=True)
def coqui_home(tmp_path: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Coqui's data folder, empty, and the tiny checkpoint as the model."""
    # The tiny model ends at once for a few seeds.
    pytest.importorskip("torch").manual_seed(0)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "TTS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("OPENBARK_VOICES", raising=False)
    monkeypatch.setenv("OPENBARK_MODEL", str(tiny_checkpoint_dir))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "TTS_HOME" / "tts"

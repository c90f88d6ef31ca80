"""Which model a script gets, each stage in its own size: rows S14-S18, S44 and S45 of the parity list."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bark
from openbark.compat.suno import environment, model_cache
from openbark.compat.suno.model_cache import Notices
from openbark.errors import (
    CheckpointNotFoundError,
    CheckpointUnsafeError,
    CheckpointUnsupportedError,
    ParamError,
)
from openbark.stages.sampling import Stage


def test_S18_variables_are_read_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = bark.generation
    for text, value in (("True", True), ("False", False), ("0", False), ("t", True), ("", False)):
        monkeypatch.setenv("SUNO_OFFLOAD_CPU", text)
        assert generation.OFFLOAD_CPU is value
    monkeypatch.setenv("SUNO_USE_SMALL_MODELS", "maybe")
    with pytest.raises(
        ParamError, match="SUNO_USE_SMALL_MODELS is 'maybe'; allowed: true or false"
    ):
        _ = generation.USE_SMALL_MODELS
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert generation.CACHE_DIR == "/somewhere/suno/bark_v0"
    assert generation._get_ckpt_path("text", use_small=True) == "/somewhere/suno/bark_v0/text.pt"


def test_S17_an_assigned_setting_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUNO_USE_SMALL_MODELS", raising=False)
    generation = bark.generation
    assert generation._get_ckpt_path("fine").endswith("fine_2.pt")
    monkeypatch.setattr(bark.generation, "USE_SMALL_MODELS", True, raising=False)
    assert generation._get_ckpt_path("fine").endswith("fine.pt")


@pytest.fixture
def suno_cache(
    clean_environment: Path,
    suno_files: Path,
    generation: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Suno's cache folder with files of both sizes; the codec where torch keeps it."""
    monkeypatch.delenv("OPENBARK_MODEL")
    monkeypatch.setattr(generation, "_NOTICES", Notices())
    folder = environment.cache_folder()
    folder.mkdir(parents=True)
    for file in suno_files.iterdir():
        if file.suffix in (".pt", ".json"):
            os.link(file, folder / file.name)
    hub = clean_environment / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    os.link(suno_files / "encodec_24khz.th", hub / "encodec_24khz-d7cc33bc.th")
    monkeypatch.setenv("TORCH_HOME", str(clean_environment / "torch"))
    return folder


def layers(generation: ModuleType) -> dict[str, int]:
    """Layers of the network that each loaded stage has."""
    names = {"text": "semantic", "coarse": "coarse", "fine": "fine"}
    configs = {name: generation._stage(name).bark.config for name in names}
    return {name: getattr(config, names[name]).n_layer for name, config in configs.items()}


def test_S14_S18_each_stage_is_loaded_alone_in_its_size(
    suno_cache: Path, generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    generation.preload_models(text_use_small=True, fine_use_small=True)
    assert layers(generation) == {"text": 2, "coarse": 24, "fine": 2}
    assert caplog.messages == []
    coarse = generation.models["coarse"].bark.backend
    with pytest.raises(CheckpointUnsupportedError, match="loaded without its fine network"):
        coarse.fine_logits(np.zeros((8, 4), dtype=np.int64), 3)
    with pytest.raises(CheckpointUnsupportedError, match="loaded without its codec network"):
        coarse.codec_decode(np.zeros((8, 4), dtype=np.int64))
    with pytest.raises(CheckpointUnsupportedError, match="loaded without its semantic network"):
        coarse.session(Stage.SEMANTIC)
    kept = generation.models["coarse"]
    generation.preload_models(fine_use_small=True)
    assert layers(generation) == {"text": 24, "coarse": 24, "fine": 2}
    assert generation.models["coarse"] is kept, "what is loaded is not loaded again"
    generation.preload_models(fine_use_small=True, force_reload=True)
    assert generation.models["coarse"] is not kept


def test_S14_stages_alone_speak_as_the_whole_model_does(
    suno_cache: Path, suno_files: Path, generation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("SUNO_USE_SMALL_MODELS", "True")

    def spoken() -> tuple[list[list[int]], np.ndarray]:
        generation.clean_models()
        generation.preload_models()
        torch.manual_seed(3)
        tokens = generation.generate_text_semantic("Hi.", silent=True, max_gen_duration_s=0.4)
        full, waveform = bark.semantic_to_waveform(tokens, silent=True, output_full=True)
        return [tokens.tolist(), full["fine_prompt"].tolist()], waveform

    alone = spoken()
    monkeypatch.setenv("OPENBARK_MODEL", str(suno_files / "text.pt"))
    whole = spoken()
    assert alone[0] == whole[0]
    assert np.array_equal(alone[1], whole[1])
    assert layers(generation) == {"text": 2, "coarse": 2, "fine": 2}


def test_S18_another_size_stands_in_and_is_named(
    suno_cache: Path, generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("text_2.pt", "coarse.pt"):
        (suno_cache / name).unlink()
    generation.preload_models()
    generation.preload_models(coarse_use_small=True, force_reload=True)
    assert layers(generation) == {"text": 2, "coarse": 24, "fine": 24}
    assert caplog.messages == [
        f"the large text model is not on this machine; using the small one in {suno_cache}/text.pt",
        f"the small coarse model is not on this machine; using the large one in {suno_cache}/coarse_2.pt",
    ]


def test_S18_files_under_other_names_are_known_by_what_they_hold(
    suno_cache: Path, generation: ModuleType
) -> None:
    for file in suno_cache.glob("*.pt"):
        file.rename(suno_cache / f"{file.stat().st_ino:x}.pt")
    generation.preload_models(coarse_use_small=True)
    assert layers(generation) == {"text": 24, "coarse": 2, "fine": 24}


def test_S18_half_of_suno_s_files_are_named_beside_the_embedded_model(
    suno_cache: Path, generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    for file in suno_cache.glob("fine*.pt"):
        file.unlink()
    generation.preload_models()
    (line,) = caplog.messages
    assert f"{suno_cache}/text_2.pt, {suno_cache}/coarse_2.pt without fine" in line
    assert "using the small English model inside openbark" in line
    assert generation.models["coarse"].bark.config.name == "openbark-embedded"


def test_S15_the_codec_is_looked_for_where_suno_keeps_it(
    suno_cache: Path, generation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    with pytest.raises(CheckpointNotFoundError, match=r"lacks EnCodec.*openbark models download"):
        generation.load_codec_model()
    (suno_cache / "tokenizer.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"lacks the tokenizer.*models download"):
        generation.load_model(use_small=True)


def test_S15_the_codec_follows_the_stages_and_is_never_on_mps(
    generation: ModuleType, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation.preload_models()
    assert generation.models["codec"].bark.config.name == "narrow"
    monkeypatch.setattr(generation, "choose_device", lambda *args: "mps")
    generation.load_codec_model()
    assert generation.models_devices["codec"] == "cpu"
    monkeypatch.setattr(generation, "choose_device", lambda *args: "cpu")
    monkeypatch.setenv("OPENBARK_MODEL", str(tiny_folder))
    generation.load_model(model_type="fine", force_reload=True)
    generation.load_codec_model()
    assert generation.models["codec"].bark.config.name == "tiny"


def test_S45_a_pickle_that_would_run_code_is_refused(
    suno_cache: Path, generation: ModuleType, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    (suno_cache / "text.pt").unlink()
    data = f"cbuiltins\nexec\n(S\"open({str(mark)!r}, 'w')\"\ntR.".encode()
    with zipfile.ZipFile(suno_cache / "text.pt", "w") as made:
        made.writestr("archive/data.pkl", b"\x80\x02" + data)
    with pytest.raises(CheckpointUnsafeError, match=r"text\.pt.*builtins\.exec"):
        generation.preload_models(text_use_small=True)
    with pytest.raises(CheckpointUnsafeError, match=r"builtins\.exec"):
        generation._load_model(str(suno_cache / "text.pt"), "cpu")
    assert not mark.exists()


def test_S45_a_numpy_scalar_in_the_pickle_loads(suno_cache: Path, generation: ModuleType) -> None:
    """What torch.load has refused since 2.6: best_val_loss as Suno's training wrote it."""
    torch = pytest.importorskip("torch")
    file = suno_cache / "coarse.pt"
    content = torch.load(file, weights_only=False)
    content["best_val_loss"] = np.float64(2.5)
    content["optimizer"] = {
        "state": {0: {"exp_avg": torch.zeros(3)}},
        "param_groups": [{"lr": 1.0}],
    }
    file.unlink()
    torch.save(content, file)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)
    generation.load_model(use_small=True, model_type="coarse")
    assert generation.models["coarse"].bark.config.coarse.n_layer == 2


def test_S44_offloaded_weights_are_on_the_device_only_while_they_compute(
    suno_cache: Path, generation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "cpu:0" stands for a GPU: another device than "cpu", and every machine has it."""
    pytest.importorskip("torch")
    from openbark.backends.torch.backend import TorchBackend

    moves: list[str] = []
    plain = TorchBackend.to

    def to(self: TorchBackend, device: str) -> None:
        moves.append(device)
        plain(self, device)

    monkeypatch.setattr(TorchBackend, "to", to)
    monkeypatch.setattr(generation, "choose_device", lambda *args: "cpu:0")
    monkeypatch.setattr(generation, "OFFLOAD_CPU", True, raising=False)
    generation.preload_models(text_use_small=True, coarse_use_small=True, fine_use_small=True)
    assert set(generation.models_devices.values()) == {"cpu:0"}
    assert moves == []
    bark.semantic_to_waveform(np.arange(9), silent=True)
    assert moves == ["cpu:0", "cpu"] * 3
    moves.clear()
    monkeypatch.setattr(generation, "OFFLOAD_CPU", False)
    generation.generate_fine(np.zeros((2, 4), dtype=np.int64))
    assert moves == ["cpu:0"]
    moves.clear()
    monkeypatch.setattr(generation, "OFFLOAD_CPU", True)
    with pytest.raises(ParamError, match="fine_tokens has shape"):
        generation.codec_decode(np.zeros((2, 0), dtype=np.int64))
    assert moves == ["cpu:0", "cpu"], "after an error too"


@pytest.mark.gpu
def test_S44_a_gpu_holds_nothing_between_the_stages(
    suno_cache: Path, generation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    monkeypatch.setenv("SUNO_OFFLOAD_CPU", "True")
    generation.preload_models()
    before = torch.cuda.memory_allocated()
    bark.semantic_to_waveform(np.arange(9), silent=True)
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() > before


class TestModel:
    """Which model a script gets."""

    @pytest.fixture(autouse=True)
    def _environment(self, clean_environment: Path) -> None:
        self.home = clean_environment

    def test_S18_suno_s_own_files(self, caplog: pytest.LogCaptureFixture) -> None:
        folder = environment.cache_folder()
        folder.mkdir(parents=True)
        for name in ("text.pt", "coarse.pt", "fine.pt"):
            (folder / name).touch()
        assert model_cache.find_model(small=True) == str(folder / "text.pt")
        assert caplog.text == ""
        assert model_cache.find_model(small=False) == str(folder / "text.pt")
        assert "the large models are not on this machine; using the small ones" in caplog.text
        for name in ("text_2.pt", "coarse_2.pt", "fine_2.pt"):
            (folder / name).touch()
        assert model_cache.find_model(small=False) == str(folder / "text_2.pt")

    def test_a_copy_in_the_hub_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weights = self.home / "snapshot" / "pytorch_model.bin"
        wanted = ("suno/bark-small", "pytorch_model.bin")
        monkeypatch.setattr(
            "huggingface_hub.try_to_load_from_cache",
            lambda *asked: str(weights) if asked == wanted else None,
        )
        assert model_cache.find_model(small=True) == str(weights.parent)

    def test_the_embedded_model_with_one_line(self, caplog: pytest.LogCaptureFixture) -> None:
        assert model_cache.find_model(small=True) == "embedded"
        (line,) = caplog.messages
        assert "using the small English model inside openbark" in line
        assert "OPENBARK_MODEL=suno/bark-small" in line

    def test_the_variable_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENBARK_MODEL", "nowhere")
        assert model_cache.find_model(small=False) == "nowhere"
        with pytest.raises(CheckpointNotFoundError, match="nowhere"):
            bark.preload_models()


def test_S14_a_named_folder_of_suno_s_files_has_both_sizes(
    suno_files: Path, generation: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENBARK_MODEL", str(suno_files))
    generation.preload_models(coarse_use_small=True)
    assert layers(generation) == {"text": 24, "coarse": 2, "fine": 24}
    os.link(suno_files / "text.pt", tmp_path / "text.pt")
    monkeypatch.setenv("OPENBARK_MODEL", str(tmp_path))
    with pytest.raises(CheckpointNotFoundError, match="lacks Suno's fine model"):
        generation.load_model(model_type="fine", use_small=True, force_reload=True)


def test_S14_another_size_is_another_model(suno_cache: Path, generation: ModuleType) -> None:
    generation.load_model(use_gpu=False)
    large = generation.models["text"]["model"]
    assert large.bark.config.semantic.n_layer == 24
    generation.load_model(use_gpu=False, use_small=True)
    same = generation.models["text"]["model"]
    assert same.bark.config.semantic.n_layer == 2
    generation.load_model(use_gpu=False, use_small=True)
    assert generation.models["text"]["model"] is same
    generation.load_model(use_gpu=False, use_small=True, force_reload=True)
    assert generation.models["text"]["model"] is not same
    generation.clean_models("text")
    assert generation.models == {}


def test_S15_S16_S17_models_are_loaded_on_first_use(tiny_generation: ModuleType) -> None:
    assert tiny_generation.models == {}
    tiny_generation.generate_fine(np.zeros((2, 5), dtype=int))
    assert set(tiny_generation.models) == {"text", "coarse", "fine", "codec"}
    assert set(tiny_generation.models_devices) == {"text", "coarse", "fine", "codec"}
    entry = tiny_generation.load_model(model_type="text")
    assert set(entry) == {"model", "tokenizer"}
    assert tiny_generation._tokenize(entry["tokenizer"], "ab") == [2, 3]
    assert tiny_generation._detokenize(entry["tokenizer"], [2, 3]) == "a b"
    codec = tiny_generation._load_codec_model("cpu")
    assert codec is not tiny_generation.models["codec"]
    assert codec.bark.backend.codec_decode(np.zeros((8, 2), dtype=int)).shape == (640,)
    with pytest.raises(ParamError, match="model_type is 'speech'"):
        tiny_generation.load_model(model_type="speech")
    tiny_generation.clean_models()
    assert tiny_generation.models == tiny_generation.models_devices == {}

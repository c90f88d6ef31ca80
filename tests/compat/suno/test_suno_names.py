"""Suno's names, defaults, forms of calls, settings and errors: rows S1-S20, S30, S39-S45 of the parity list."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from suno_models import voice_arrays

import bark
from openbark.compat.suno import environment, model_cache
from openbark.config import BarkConfig
from openbark.errors import CheckpointNotFoundError, ParamError, TextError, VoiceError

ROOT = Path(__file__).parents[3]


def defaults(function: object) -> dict[str, object]:
    """Parameters in order, with their defaults; ... where there is none."""
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {p.name: ... if p.default is p.empty else p.default for p in parameters}


def test_S1_S2_S3_signatures() -> None:
    assert defaults(bark.generate_audio) == {
        "text": ...,
        "history_prompt": None,
        "text_temp": 0.7,
        "waveform_temp": 0.7,
        "silent": False,
        "output_full": False,
    }
    assert defaults(bark.text_to_semantic) == {
        "text": ...,
        "history_prompt": None,
        "temp": 0.7,
        "silent": False,
    }
    assert defaults(bark.semantic_to_waveform) == {
        "semantic_tokens": ...,
        "history_prompt": None,
        "temp": 0.7,
        "silent": False,
        "output_full": False,
    }
    assert defaults(bark.save_as_prompt) == {"filepath": ..., "full_generation": ...}


def test_S10_S11_S12_S13_signatures() -> None:
    generation = bark.generation
    assert defaults(generation.generate_text_semantic) == {
        "text": ...,
        "history_prompt": None,
        "temp": 0.7,
        "top_k": None,
        "top_p": None,
        "silent": False,
        "min_eos_p": 0.2,
        "max_gen_duration_s": None,
        "allow_early_stop": True,
        "use_kv_caching": False,
    }
    assert defaults(generation.generate_coarse) == {
        "x_semantic": ...,
        "history_prompt": None,
        "temp": 0.7,
        "top_k": None,
        "top_p": None,
        "silent": False,
        "max_coarse_history": 630,
        "sliding_window_len": 60,
        "use_kv_caching": False,
    }
    assert defaults(generation.generate_fine) == {
        "x_coarse_gen": ...,
        "history_prompt": None,
        "temp": 0.5,
        "silent": True,
    }
    assert defaults(generation.codec_decode) == {"fine_tokens": ...}


def test_S14_S15_S16_signatures() -> None:
    generation = bark.generation
    assert list(defaults(generation.preload_models).items()) == [
        ("text_use_gpu", True),
        ("text_use_small", False),
        ("coarse_use_gpu", True),
        ("coarse_use_small", False),
        ("fine_use_gpu", True),
        ("fine_use_small", False),
        ("codec_use_gpu", True),
        ("force_reload", False),
    ]
    assert list(defaults(generation.load_model).values()) == [True, False, False, "text"]
    assert defaults(generation.load_codec_model) == {"use_gpu": True, "force_reload": False}
    assert defaults(generation.clean_models) == {"model_key": None}


def test_S5_S17_constants() -> None:
    generation = bark.generation
    assert bark.SAMPLE_RATE == generation.SAMPLE_RATE == 24_000
    assert generation.SEMANTIC_RATE_HZ == 49.9
    assert generation.COARSE_RATE_HZ == 75
    assert generation.CODEBOOK_SIZE == generation.CONTEXT_WINDOW_SIZE == 1024
    assert (generation.TEXT_PAD_TOKEN, generation.SEMANTIC_INFER_TOKEN) == (129_595, 129_599)
    assert (generation.COARSE_SEMANTIC_PAD_TOKEN, generation.COARSE_INFER_TOKEN) == (12_048, 12_050)
    assert len(generation.SUPPORTED_LANGS) == 13
    assert ("German", "de") in generation.SUPPORTED_LANGS
    assert generation.REMOTE_MODEL_PATHS["coarse_small"]["file_name"] == "coarse.pt"
    assert generation.REMOTE_MODEL_PATHS["coarse"]["file_name"] == "coarse_2.pt"


def test_S40_allowed_prompts() -> None:
    names = bark.generation.ALLOWED_PROMPTS
    assert len(names) == 261
    assert {"announcer", "en_speaker_0", "v2/zh_speaker_9"} <= names
    assert "speaker_0" not in names


def test_bark_modules_are_the_modules_themselves() -> None:
    import bark.api
    import bark.cli
    from bark.generation import generate_fine
    from bark.model import GPTConfig
    from bark.model_fine import FineGPTConfig
    from openbark.compat.suno import api, generation

    assert bark.api is api
    assert bark.generation is generation
    assert bark.generation.generate_fine is generate_fine
    assert callable(bark.cli.cli)
    assert set(dir(bark)) >= {"generate_audio", "generation"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bark.nothing
    assert (GPTConfig().bias, GPTConfig().output_vocab_size) == (True, 10_048)
    assert (FineGPTConfig().n_codes_total, FineGPTConfig().n_codes_given) == (8, 1)


def test_S18_variables_are_read_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = bark.generation
    for text, value in (("True", True), ("False", False), ("0", False), ("t", True), ("", False)):
        monkeypatch.setenv("SUNO_OFFLOAD_CPU", text)
        assert generation.OFFLOAD_CPU is value
    monkeypatch.setenv("SUNO_USE_SMALL_MODELS", "maybe")
    with pytest.raises(ParamError, match="SUNO_USE_SMALL_MODELS is 'maybe'; legal: true or false"):
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


def test_S19_private_names_that_others_import() -> None:
    generation = bark.generation
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    flat = generation._flatten_codebooks(codes, offset_size=1024)
    assert flat.tolist() == [1, 1028, 2, 1029, 3, 1030]
    assert generation._flatten_codebooks(codes, None).tolist() == [1, 4, 2, 5, 3, 6]
    assert codes.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ParamError, match="shape"):
        generation._flatten_codebooks(np.zeros(3, dtype=int))
    assert generation._normalize_whitespace("  a\x0bb \n c ") == "a b c"
    assert generation._grab_best_device(use_gpu=False) == "cpu"
    with generation.InferenceContext(benchmark=True) as context:
        assert context.benchmark


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


def test_S14_another_size_is_another_model(
    tiny_generation: ModuleType,
    suno_folder: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = {True: str(tiny_folder), False: str(suno_folder)}
    monkeypatch.delenv("OPENBARK_MODEL")
    monkeypatch.setattr(model_cache, "find_model", lambda small: folders[small])
    monkeypatch.setenv("XDG_CACHE_HOME", "/another/cache")
    tiny_generation.load_model(use_gpu=False)
    large = tiny_generation.models["text"]["model"].bark
    assert large.config.name == "narrow"
    tiny_generation.load_model(use_gpu=False, use_small=True)
    assert tiny_generation.models["text"]["model"].bark.config.name == "tiny"
    tiny_generation.load_model(use_gpu=False, use_small=True)
    same = tiny_generation.models["text"]["model"].bark
    tiny_generation.load_model(use_gpu=False, use_small=True, force_reload=True)
    assert tiny_generation.models["text"]["model"].bark is not same
    tiny_generation.clean_models("text")
    assert tiny_generation.models == {}


def test_S15_S16_S17_models_are_loaded_on_first_use(tiny_generation: ModuleType) -> None:
    assert tiny_generation.models == {}
    tiny_generation.generate_fine(np.zeros((2, 5), dtype=int))
    assert set(tiny_generation.models) == {"text", "coarse", "fine", "codec"}
    assert set(tiny_generation.models_devices) == {"text", "coarse", "fine", "codec"}
    entry = tiny_generation.load_model(model_type="text")
    assert set(entry) == {"model", "tokenizer"}
    assert tiny_generation._tokenize(entry["tokenizer"], "ab") == [2, 3]
    barks = {id(tiny_generation._stage(name).bark) for name in tiny_generation.models}
    assert len(barks) == 1
    with pytest.raises(ParamError, match="model_type is 'speech'"):
        tiny_generation.load_model(model_type="speech")
    tiny_generation.clean_models()
    assert tiny_generation.models == tiny_generation.models_devices == {}


def test_S1_S4_S39_a_generation_is_a_prompt(tiny_generation: ModuleType, tmp_path: Path) -> None:
    full, waveform = bark.generate_audio("Hello there.", silent=True, output_full=True)
    assert waveform.ndim == 1
    assert waveform.dtype == np.float32
    assert set(full) == {"semantic_prompt", "coarse_prompt", "fine_prompt"}
    assert full["coarse_prompt"].shape[0] == 2
    assert full["fine_prompt"].shape[0] == 8
    full = {**voice_arrays(BarkConfig.tiny(), 20), "extra": np.arange(3)}
    bark.save_as_prompt(tmp_path / "me.npz", full)
    with np.load(tmp_path / "me.npz") as stored:
        assert set(stored) == {"semantic_prompt", "coarse_prompt", "fine_prompt", "extra"}
        forms = [full, str(tmp_path / "me.npz"), tmp_path / "me.npz", stored, "en_1", None]
        for form in forms:
            plain = bark.generate_audio("Hi.", history_prompt=form, silent=True)
            assert isinstance(plain, np.ndarray)


@pytest.mark.parametrize(
    ("target", "full", "message"),
    [
        ("me.wav", voice_arrays(BarkConfig.tiny(), 20), r"must end in \.npz"),
        ("me.npz", [1, 2], "must be the dictionary of generate_audio"),
        ("me.npz", {"semantic_prompt": np.zeros(3)}, "lacks coarse_prompt, fine_prompt"),
        ("gone/me.npz", voice_arrays(BarkConfig.tiny(), 20), "does not exist|No such file"),
        ("me.npz", {**voice_arrays(BarkConfig.tiny(), 20), "x": {1}}, "no array of numbers"),
    ],
)
def test_S4_mistakes_are_typed(tmp_path: Path, target: str, full: object, message: str) -> None:
    with pytest.raises(VoiceError, match=message):
        bark.save_as_prompt(tmp_path / target, full)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("zz_speaker_1", "unknown voice 'zz_speaker_1'"),
        ("gone.npz", "no voice file at gone.npz"),
        (3, "history prompt format unrecognized"),
        ({"semantic_prompt": np.arange(20)}, "lacks coarse_prompt, fine_prompt"),
    ],
)
def test_S39_other_forms_are_value_errors(
    tiny_generation: ModuleType, prompt: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bark.text_to_semantic("Hi.", history_prompt=prompt, silent=True)


def test_S40_a_preset_has_a_stand_in(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    bark.generate_audio("Hi.", history_prompt="v2/en_speaker_3", silent=True)
    assert caplog.messages == [
        "tiny has no preset v2/en_speaker_3; its own voice en_1 stands in for it"
    ]


def test_S40_presets_of_a_folder_are_found_by_name(
    tiny_generation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts" / "v2"
    folder.mkdir(parents=True)
    arrays = voice_arrays(BarkConfig.tiny(), 20, 9)
    np.savez(folder / "en_speaker_3.npz", **arrays)
    monkeypatch.setenv("OPENBARK_VOICES", str(folder.parent))
    found = tiny_generation._load_history_prompt("v2/en_speaker_3")
    assert np.array_equal(found["fine_prompt"], arrays["fine_prompt"])


def test_S30_long_text_is_cut_with_a_warning(
    tiny_generation: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = bark.text_to_semantic("abcd" * 5, silent=True)
    assert tokens.dtype == np.int64
    assert caplog.messages == ["warning, text too long, lopping of last 20.0%"]
    with pytest.raises(TextError, match="holds only white space"):
        bark.text_to_semantic(" \n\t ")


def test_S42_nothing_said_is_a_typed_error(tiny_generation: ModuleType) -> None:
    with pytest.raises(TextError, match="ended before it said anything"):
        bark.semantic_to_waveform(np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.generate_coarse(np.array([100])), r"x_semantic holds 100..100; legal: 0..99"),
        (lambda g: g.generate_coarse(np.zeros((2, 2), dtype=int)), "with 1 dimension"),
        (
            lambda g: g.generate_coarse(np.zeros(9, dtype=int), max_coarse_history=99),
            "legal: 36..36",
        ),
        (lambda g: g.generate_fine(np.zeros((8, 4), dtype=int)), r"legal: \[1..7, T\]"),
        (lambda g: g.generate_fine(np.full((2, 4), 0.5)), "must be whole numbers"),
        (lambda g: g.codec_decode(np.full((2, 4), 32)), "legal: 0..31"),
        (lambda g: g.codec_decode(np.zeros((2, 0), dtype=int)), "fine_tokens has shape"),
        (lambda g: g.generate_text_semantic("Hi.", temp=-1), "temperature is -1"),
    ],
)
def test_S11_S12_S13_arguments_are_checked(
    tiny_generation: ModuleType, call: object, message: str
) -> None:
    with pytest.raises(ParamError, match=message):
        call(tiny_generation)  # type: ignore[operator]


def test_S13_two_codebooks_decode_too(tiny_generation: ModuleType) -> None:
    waveform = tiny_generation.codec_decode(np.zeros((2, 5), dtype=int))
    assert waveform.shape == (5 * 320,)
    assert waveform.dtype == np.float32


def run_bark(*args: str) -> int:
    from openbark.compat.suno.command_line import main

    return main(args)


def test_S6_the_command_line_writes_float32(tiny_generation: ModuleType) -> None:
    import soundfile

    args = ("--text", "Hi there.", "--output_dir", "out", "--silent", "True")
    assert run_bark(*args, "--history_prompt", "en_0", "--output_full", "false") == 0
    assert soundfile.info("out/bark_generation.wav").subtype == "FLOAT"
    assert not Path("out/bark_generation.npz").exists()
    assert run_bark(*args, "--output_full", "True", "--output_filename", "b.flac") == 0
    assert Path("out/b.npz").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no text; give one with --text"),
        (("--text", " "), "holds only white space"),
        (("--text", "Hi.", "--history_prompt", "nobody"), "unknown voice 'nobody'"),
        (("--text", "Hi.", "--output_filename", "a.docx"), "cannot tell the audio format"),
    ],
)
def test_S6_errors_have_an_exit_code(
    tiny_generation: ModuleType,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    message: str,
) -> None:
    assert run_bark(*args) == 2
    assert message in capsys.readouterr().err


def test_S6_words_that_are_no_truth_values_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_bark("--text", "Hi.", "--silent", "perhaps")
    assert stop.value.code == 2
    assert "legal: true or false" in capsys.readouterr().err


def test_S6_python_dash_m_bark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bark"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr == "error: no text; give one with --text\n"


def test_import_bark_is_light() -> None:
    code = "import sys, bark; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({"torch", "numpy", "tokenizers"})


def test_the_warning_reaches_stderr_of_a_script() -> None:
    assert logging.getLogger("openbark").handlers == []

"""Suno's names, defaults and constants: rows S1-S23 and S40 of the parity list, as scripts import them."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bark
from openbark.errors import MissingExtraError, ParamError

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


def test_S10_S11_S12_S13_B2_signatures() -> None:
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


def test_import_bark_is_light() -> None:
    code = "import sys, bark; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({"torch", "numpy", "tokenizers"})


def test_the_warning_reaches_stderr_of_a_script() -> None:
    assert logging.getLogger("openbark").handlers == []


def test_S20_sizes() -> None:
    from bark.model import GPTConfig
    from bark.model_fine import FineGPTConfig

    sizes = {
        "block_size": 1024,
        "input_vocab_size": 10_048,
        "output_vocab_size": 10_048,
        "n_layer": 12,
        "n_head": 12,
        "n_embd": 768,
        "dropout": 0.0,
        "bias": True,
    }
    assert defaults(GPTConfig) == sizes
    assert defaults(FineGPTConfig) == sizes | {"n_codes_total": 8, "n_codes_given": 1}


def test_S21_S22_the_networks_need_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from bark import model

    monkeypatch.setattr("openbark.compat.suno.model.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install .openbark\[torch\]"):
        _ = model.FineGPT
    with pytest.raises(AttributeError, match="no attribute 'Block'"):
        _ = model.Block


def test_S19_contexts_change_nothing() -> None:
    generation = bark.generation
    with generation._inference_mode() as context:
        assert isinstance(context, generation.InferenceContext)
    assert generation._clear_cuda_cache() is None

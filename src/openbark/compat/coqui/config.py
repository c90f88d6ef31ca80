"""Coqui's `BarkConfig`: every field of the documented signature, under its name and with its default (docs/migrating-coqui.md).

What Bark reads at inference is the last part of it; the training fields are carried, and nothing here trains
by them (`openbark train` does).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from openbark.compat.suno.model import FineGPTConfig, GPTConfig
from openbark.config import BarkConfig as _Sizes

MODEL_NAME = "tts_models/multilingual/multi-dataset/bark"
"""Coqui's name of Bark."""

_SUNO = _Sizes()


def data_folder() -> Path:
    """Where Coqui keeps its data: `$TTS_HOME/tts`, `$XDG_DATA_HOME/tts`, or ~/.local/share/tts. Read now."""
    for variable in ("TTS_HOME", "XDG_DATA_HOME"):
        given = os.environ.get(variable, "")
        if given:
            return Path(given).expanduser() / "tts"
    return Path.home() / ".local" / "share" / "tts"


def model_folders() -> list[Path]:
    """Where Coqui keeps Bark's files: the folder its downloader names after the model, and Bark's own cache."""
    return [data_folder() / MODEL_NAME.replace("/", "--"), data_folder() / "suno" / "bark_v0"]


class _Coqpit:
    """Fields of the dataclass read as items, as Coqui's configs are."""

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self:
            raise KeyError(name)
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Names of the fields."""
        return [item.name for item in fields(self)]  # type: ignore[arg-type]

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return [(name, getattr(self, name)) for name in self.keys()]

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or `default` for another name."""
        return getattr(self, name) if name in self else default

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def update(self, new: Mapping[str, Any]) -> None:
        """Set several fields. Raises KeyError for other names."""
        for name, value in new.items():
            self[name] = value


@dataclass
class BarkAudioConfig(_Coqpit):
    """Rates of the audio."""

    sample_rate: int = _SUNO.sample_rate
    output_sample_rate: int = _SUNO.sample_rate


@dataclass
class _TrainingFields(_Coqpit):
    output_path: str = "output"
    logger_uri: str | None = None
    run_name: str = "run"
    project_name: str | None = None
    run_description: str = "🐶 Coqui trainer run."
    print_step: int = 25
    plot_step: int = 100
    model_param_stats: bool = False
    wandb_entity: str | None = None
    dashboard_logger: str = "tensorboard"
    save_on_interrupt: bool = True
    log_model_step: int | None = None
    save_step: int = 10000
    save_n_checkpoints: int = 5
    save_checkpoints: bool = True
    save_all_best: bool = False
    save_best_after: int = 10000
    target_loss: str | None = None
    print_eval: bool = False
    test_delay_epochs: int = 0
    run_eval: bool = True
    run_eval_steps: int | None = None
    distributed_backend: str = "nccl"
    distributed_url: str = "tcp://localhost:54321"
    mixed_precision: bool = False
    precision: str = "fp16"
    epochs: int = 1000
    batch_size: int = 32
    eval_batch_size: int = 16
    grad_clip: float = 0.0
    scheduler_after_epoch: bool = True
    lr: float = 0.001
    optimizer: str = "radam"
    optimizer_params: dict[str, Any] | None = None
    lr_scheduler: str | None = None
    lr_scheduler_params: dict[str, Any] = field(default_factory=dict)
    use_grad_scaler: bool = False
    allow_tf32: bool = False
    cudnn_enable: bool = True
    cudnn_deterministic: bool = False
    cudnn_benchmark: bool = False
    training_seed: int = 54321
    model: str = "bark"
    num_loader_workers: int = 0
    num_eval_loader_workers: int = 0
    use_noise_augment: bool = False


@dataclass
class _SpeechFields(_TrainingFields):
    audio: BarkAudioConfig = field(default_factory=BarkAudioConfig)
    use_phonemes: bool = False
    phonemizer: str | None = None
    phoneme_language: str | None = None
    compute_input_seq_cache: bool = False
    text_cleaner: str | None = None
    enable_eos_bos_chars: bool = False
    test_sentences_file: str = ""
    phoneme_cache_path: str | None = None
    characters: Any = None
    add_blank: bool = False
    batch_group_size: int = 0
    loss_masking: bool | None = None
    min_audio_len: float = 1
    max_audio_len: float = math.inf
    min_text_len: float = 1
    max_text_len: float = math.inf
    compute_f0: bool = False
    compute_energy: bool = False
    compute_linear_spec: bool = False
    precompute_num_workers: int = 0
    start_by_longest: bool = False
    shuffle: bool = False
    drop_last: bool = False
    datasets: list[Any] = field(default_factory=list)
    test_sentences: list[Any] = field(default_factory=list)
    eval_split_max_size: int | None = None
    eval_split_size: float = 0.01
    use_speaker_weighted_sampler: bool = False
    speaker_weighted_sampler_alpha: float = 1.0
    use_language_weighted_sampler: bool = False
    language_weighted_sampler_alpha: float = 1.0
    use_length_weighted_sampler: bool = False
    length_weighted_sampler_alpha: float = 1.0


@dataclass
class BarkConfig(_SpeechFields):
    """The documented dataclass. Sizes and token layout come from the checkpoint that is loaded; the
    constants here are Suno's and describe, they do not steer."""

    num_chars: int = 0
    semantic_config: GPTConfig = field(default_factory=GPTConfig)
    fine_config: FineGPTConfig = field(default_factory=FineGPTConfig)
    coarse_config: GPTConfig = field(default_factory=GPTConfig)
    CONTEXT_WINDOW_SIZE: int = _SUNO.semantic.block_size
    SEMANTIC_RATE_HZ: float = _SUNO.semantic_rules.rate_hz
    SEMANTIC_VOCAB_SIZE: int = _SUNO.semantic_rules.semantic_vocab_size
    CODEBOOK_SIZE: int = _SUNO.codebook_size
    N_COARSE_CODEBOOKS: int = _SUNO.coarse_rules.n_codebooks
    N_FINE_CODEBOOKS: int = _SUNO.fine_rules.n_codebooks
    COARSE_RATE_HZ: int = int(_SUNO.coarse_rules.rate_hz)
    SAMPLE_RATE: int = _SUNO.sample_rate
    USE_SMALLER_MODELS: bool = False
    TEXT_ENCODING_OFFSET: int = _SUNO.semantic_rules.text_encoding_offset
    SEMANTIC_PAD_TOKEN: int = _SUNO.semantic_rules.semantic_pad_token
    TEXT_PAD_TOKEN: int = _SUNO.semantic_rules.text_pad_token
    SEMANTIC_INFER_TOKEN: int = _SUNO.semantic_rules.infer_token
    COARSE_SEMANTIC_PAD_TOKEN: int = _SUNO.coarse_rules.semantic_pad_token
    COARSE_INFER_TOKEN: int = _SUNO.coarse_rules.infer_token
    REMOTE_MODEL_PATHS: dict[str, Any] | None = None
    LOCAL_MODEL_PATHS: dict[str, Any] | None = None
    SMALL_REMOTE_MODEL_PATHS: dict[str, Any] | None = None
    CACHE_DIR: str = field(default_factory=lambda: str(model_folders()[1]))
    DEF_SPEAKER_DIR: str = field(
        default_factory=lambda: str(data_folder() / "bark_v0" / "speakers")
    )

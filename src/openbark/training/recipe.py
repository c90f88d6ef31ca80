"""The embedded model's training recipe as data: what to synthesise, what to train for how long.

Three presets: "smoke" (minutes, for tests: the result runs but does not speak), "cpu" (two cores, an afternoon:
what the package ships) and "gpu" (the same with about ten times the training).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openbark.config import BarkConfig, FineGPTConfig, GPTConfig, IstftCodecConfig
from openbark.errors import TrainingError
from openbark.params import GenerationParams, SamplingParams
from openbark.training.coarse import CoarseOptions
from openbark.training.codec import CodecTaskOptions
from openbark.training.embedded_config import embedded_config
from openbark.training.fine import FineOptions
from openbark.training.loop import FitOptions
from openbark.training.semantic import SemanticOptions
from openbark.training.semantic_tokenizer import SemanticTokenizerOptions
from openbark.training.synth.corpus import CorpusOptions
from openbark.training.synth.labels import SEMANTIC_VOCAB_SIZE

__all__ = ["PRESETS", "Recipe", "recipe"]

PRESETS = ("smoke", "cpu", "gpu")


@dataclass(frozen=True)
class Recipe:
    """Everything `openbark train embedded` does, in the order of its fields.

    n_decoder_clips: utterances whose predicted fine codes the decoder is tuned on.
    defaults: sampling that the checkpoint recommends, chosen on the validation sentences.
    """

    corpus: CorpusOptions
    config: BarkConfig
    codec: CodecTaskOptions
    codec_fit: FitOptions
    tokenizer: SemanticTokenizerOptions
    tokenizer_fit: FitOptions
    semantic: SemanticOptions
    semantic_fit: FitOptions
    coarse: CoarseOptions
    coarse_fit: FitOptions
    fine: FineOptions
    fine_fit: FitOptions
    decoder_fit: FitOptions
    n_decoder_clips: int
    defaults: GenerationParams


_DEFAULTS = GenerationParams(
    semantic=SamplingParams(temperature=0.2, min_eos_p=None),
    coarse=SamplingParams(temperature=0.2),
    fine=SamplingParams(temperature=0.0),
)


def _cpu() -> Recipe:
    return Recipe(
        corpus=CorpusOptions.preset("cpu"),
        config=embedded_config(SEMANTIC_VOCAB_SIZE),
        codec=CodecTaskOptions(batch_size=8),
        codec_fit=FitOptions(9000, 1e-3, betas=(0.8, 0.99), grad_clip=5.0),
        tokenizer=SemanticTokenizerOptions(),
        tokenizer_fit=FitOptions(1500, 1.5e-3),
        semantic=SemanticOptions(tokens_per_batch=3072),
        semantic_fit=FitOptions(7000, 1.2e-3, decay_fraction=0.35),
        coarse=CoarseOptions(batch_size=12),
        coarse_fit=FitOptions(8000, 1.2e-3, decay_fraction=0.35),
        fine=FineOptions(batch_size=12),
        fine_fit=FitOptions(3000, 2e-3),
        decoder_fit=FitOptions(4000, 5e-4, betas=(0.8, 0.99), grad_clip=5.0),
        n_decoder_clips=2000,
        defaults=_DEFAULTS,
    )


def _gpu() -> Recipe:
    base = _cpu()
    return replace(
        base,
        codec=replace(base.codec, batch_size=64),
        codec_fit=replace(base.codec_fit, steps=20_000, device="cuda"),
        tokenizer_fit=replace(base.tokenizer_fit, steps=6000, device="cuda"),
        semantic=replace(base.semantic, tokens_per_batch=32_768),
        semantic_fit=replace(base.semantic_fit, steps=15_000, device="cuda"),
        coarse=replace(base.coarse, batch_size=96),
        coarse_fit=replace(base.coarse_fit, steps=15_000, device="cuda"),
        fine=replace(base.fine, batch_size=96),
        fine_fit=replace(base.fine_fit, steps=8000, device="cuda"),
        decoder_fit=replace(base.decoder_fit, steps=20_000, device="cuda"),
    )


def _smoke() -> Recipe:
    base = _cpu()
    wide = base.config
    small = replace(
        wide,
        semantic=_narrow(wide.semantic),
        coarse=_narrow(wide.coarse),
        fine=_narrow_fine(wide.fine),
        codec=replace(
            _istft(wide), encoder_dim=32, decoder_dim=32, encoder_layers=1, decoder_layers=1
        ),
        name="openbark-smoke",
    )

    def short(fit: FitOptions, steps: int) -> FitOptions:
        return replace(fit, steps=steps, warmup=5, validate_every=steps, log_every=10)

    return replace(
        base,
        corpus=CorpusOptions.preset("smoke"),
        config=small,
        codec=CodecTaskOptions(batch_size=4, quantize_from=10, init_batches=4),
        codec_fit=short(base.codec_fit, 40),
        tokenizer=SemanticTokenizerOptions(batch_size=4),
        tokenizer_fit=short(base.tokenizer_fit, 20),
        semantic=SemanticOptions(tokens_per_batch=1024),
        semantic_fit=short(base.semantic_fit, 30),
        coarse=CoarseOptions(batch_size=4),
        coarse_fit=short(base.coarse_fit, 30),
        fine=FineOptions(batch_size=4),
        fine_fit=short(base.fine_fit, 18),
        decoder_fit=short(base.decoder_fit, 20),
        n_decoder_clips=8,
    )


def _narrow(config: GPTConfig) -> GPTConfig:
    return replace(config, n_layer=2, n_head=2, n_embd=32)


def _narrow_fine(config: FineGPTConfig) -> FineGPTConfig:
    return replace(config, n_layer=1, n_head=2, n_embd=16)


def _istft(config: BarkConfig) -> IstftCodecConfig:
    if not isinstance(config.codec, IstftCodecConfig):
        raise TypeError("the embedded model's codec is an iSTFT codec")
    return config.codec


def recipe(
    preset: str, seed: int = 0, device: str | None = None, threads: int | None = None
) -> Recipe:
    """The recipe of a preset with its seed, device and threads set everywhere; TrainingError for an unknown name."""
    makers = {"smoke": _smoke, "cpu": _cpu, "gpu": _gpu}
    if preset not in makers:
        raise TrainingError(f"preset is {preset!r}; legal: {', '.join(PRESETS)}")
    made = makers[preset]()
    changes: dict[str, object] = {}
    for name in ("corpus", "codec", "tokenizer", "semantic", "coarse", "fine"):
        changes[name] = replace(getattr(made, name), seed=seed)
    for name in ("codec", "tokenizer", "semantic", "coarse", "fine", "decoder"):
        fit: FitOptions = getattr(made, f"{name}_fit")
        changes[f"{name}_fit"] = replace(
            fit, seed=seed, device=device or fit.device, threads=threads or fit.threads
        )
    return replace(made, **changes)  # type: ignore[arg-type]

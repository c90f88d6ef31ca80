"""The embedded model's training recipe as data: what to synthesise, what to train for how long.

Presets: "smoke" (minutes, for tests: the result runs but does not speak), "cpu" and "gpu" train the first edition's
sizes on flite's speech; "voice" trains what the package ships on a labelled corpus, "voice-smoke" is its miniature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openbark.config import (
    BarkConfig,
    FineGPTConfig,
    GPTConfig,
    HarmonicCodecConfig,
    IstftCodecConfig,
)
from openbark.errors import TrainingError
from openbark.params import GenerationParams, SamplingParams
from openbark.training.coarse import CoarseOptions
from openbark.training.codec import CodecTaskOptions
from openbark.training.fine import FineOptions
from openbark.training.loop import FitOptions
from openbark.training.semantic import SemanticOptions
from openbark.training.semantic_tokenizer import SemanticTokenizerOptions
from recipes.embedded import LABELLED_PRESETS, PRESETS
from recipes.embedded.config import embedded_config, voice_config
from recipes.embedded.export import ORIGINS, Preset
from recipes.embedded.synth.corpus import CorpusOptions
from recipes.embedded.synth.labelled_corpus import LabelledCorpusOptions
from recipes.embedded.synth.labels import SEMANTIC_VOCAB_SIZE
from recipes.embedded.synth.phones import VOCABULARY


@dataclass(frozen=True)
class Recipe:
    """Everything `openbark train embedded` does, in the order of its fields.

    decoder_fit: how the decoder is tuned on predicted fine codes; None leaves it as the codec step made it.
    n_decoder_clips: utterances it is tuned on.
    presets: voices to ship.
    defaults: sampling that the checkpoint recommends, chosen on the validation sentences.
    """

    corpus: CorpusOptions | LabelledCorpusOptions
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
    decoder_fit: FitOptions | None
    n_decoder_clips: int
    presets: tuple[Preset, ...]
    defaults: GenerationParams


_DEFAULTS = GenerationParams(
    semantic=SamplingParams(temperature=0.2, min_eos_p=None),
    coarse=SamplingParams(temperature=0.2),
    fine=SamplingParams(temperature=0.0),
)


_FLITE_PRESETS = tuple(
    Preset(speaker, f"en_{index}", ORIGINS[speaker]) for index, speaker in enumerate(ORIGINS)
)

_VOICE_PRESETS = (
    Preset("af_heart", "heart", "American woman, warm"),
    Preset("am_michael", "michael", "American man, calm"),
    Preset("bf_emma", "emma", "British woman, clear"),
    Preset("bm_george", "george", "British man, deep"),
    Preset("af_bella", "bella", "American woman, lively"),
    Preset("am_puck", "puck", "American man, bright"),
    Preset("am_fenrir", "fenrir", "American man, firm"),
    Preset("af_nicole", "nicole", "American woman, close to the microphone, almost a whisper"),
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
        presets=_FLITE_PRESETS,
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
        decoder_fit=FitOptions(20_000, 5e-4, betas=(0.8, 0.99), grad_clip=5.0, device="cuda"),
    )


def _voice(corpus: LabelledCorpusOptions) -> Recipe:
    base = _cpu()
    fit = FitOptions(12_000, 1.2e-3, warmup=200, decay_fraction=0.35, precision="fp32", threads=1)
    return replace(
        base,
        corpus=corpus,
        config=voice_config(VOCABULARY),
        codec=CodecTaskOptions(
            batch_size=12, crop_frames=50, quantize_from=300, short_counts=(1, 2, 2, 2, 4),
            mel_weight=1.0,
        ),
        codec_fit=replace(
            fit, lr=1e-3, betas=(0.8, 0.99), grad_clip=5.0, decay_fraction=0.4, checkpoint_every=200
        ),
        tokenizer_fit=replace(fit, steps=4000, lr=1.5e-3, warmup=100),
        semantic=SemanticOptions(tokens_per_batch=4096),
        semantic_fit=replace(fit, checkpoint_every=100),
        coarse=CoarseOptions(
            batch_size=8, voice_share=0.9, noise=0.15, full_history=True, guide_weight=0.5
        ),
        coarse_fit=replace(fit, checkpoint_every=100),
        fine=FineOptions(batch_size=12, voice_share=0.85),
        fine_fit=replace(fit, steps=4000, lr=2e-3),
        decoder_fit=None,
        n_decoder_clips=0,
        presets=_VOICE_PRESETS,
    )  # fmt: skip


def _voice_smoke(corpus: LabelledCorpusOptions) -> Recipe:
    base, small = _voice(corpus), _smoke()
    config, codec = base.config, base.config.codec
    if not isinstance(codec, HarmonicCodecConfig):
        raise TypeError("the voice recipe's codec is a harmonic codec")
    narrow = replace(
        codec, encoder_dim=32, decoder_dim=32, filter_dim=16, encoder_layers=1, decoder_layers=1
    )
    names = ("tokenizer", "semantic", "coarse", "fine")
    return replace(
        base,
        config=replace(
            config,
            semantic=_narrow(config.semantic),
            coarse=_narrow(config.coarse),
            fine=_narrow_fine(config.fine),
            codec=narrow,
            name="openbark-voice-smoke",
        ),
        codec=replace(base.codec, batch_size=4, quantize_from=10, init_batches=4),
        codec_fit=replace(small.codec_fit, precision="fp32"),
        presets=base.presets[:2],
        **{name: getattr(small, name) for name in names},
        **{f"{name}_fit": getattr(small, f"{name}_fit") for name in names},
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
        decoder_fit=short(base.codec_fit, 20),
        n_decoder_clips=8,
        presets=_FLITE_PRESETS[:2],
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
    preset: str,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    corpus: LabelledCorpusOptions | None = None,
) -> Recipe:
    """The recipe of a preset with its seed, device and threads set everywhere.

    Args:
        corpus: where the labelled corpus is; needed by the presets of `LABELLED_PRESETS`, and by no other.

    Raises:
        TrainingError: an unknown preset, or a corpus that is missing or not wanted.
    """
    if preset not in PRESETS:
        raise TrainingError(f"preset {preset!r} is not known; allowed: {', '.join(PRESETS)}")
    if (preset in LABELLED_PRESETS) != (corpus is not None):
        raise TrainingError(
            f"presets {', '.join(LABELLED_PRESETS)} train on a labelled corpus: give --spoken FOLDER with them, "
            "and with no other preset"
        )
    if corpus is not None:
        made = _voice(corpus) if preset == "voice" else _voice_smoke(corpus)
    else:
        made = {"smoke": _smoke, "cpu": _cpu, "gpu": _gpu}[preset]()
    changes: dict[str, object] = {}
    for name in ("corpus", "codec", "tokenizer", "semantic", "coarse", "fine"):
        changes[name] = replace(getattr(made, name), seed=seed)
    for name in ("codec", "tokenizer", "semantic", "coarse", "fine", "decoder"):
        fit: FitOptions | None = getattr(made, f"{name}_fit")
        if fit is not None:
            changes[f"{name}_fit"] = replace(
                fit, seed=seed, device=device or fit.device, threads=threads or fit.threads
            )
    return replace(made, **changes)  # type: ignore[arg-type]

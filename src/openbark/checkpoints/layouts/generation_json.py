"""generation_config.json of a Hugging Face Bark folder <-> token layout, windows and default sampling
(docs/parity.md H4-H7, C2, B1-B3).

Rules. A checkpoint with the vocabulary sizes of suno/bark may lack any key, or the whole file: it then has
Suno's values. Any other checkpoint must say every one of them, because nothing else does.

Default sampling. `do_sample: true` makes a stage's temperature, top_k and top_p its defaults; `top_k` of 0
or null is off. Without it (transformers' own default, and what it writes for a model made from a config)
the file says nothing about sampling, and Suno's 0.7 / 0.7 / 0.5 hold. The fine stage has no do_sample in
transformers, where 1.0 or null means greedy and stands for "not set": then Suno's 0.5 holds, any other
temperature counts; with `do_sample: true` 1.0 counts too. `min_eos_p` absent is Suno's 0.2, since the
published files lack it; null switches it off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbark.checkpoints.formats.json_file import Section
from openbark.checkpoints.layouts.config_json import ModelSizes
from openbark.config import BarkConfig, CoarseRules, FineRules, SemanticRules
from openbark.errors import CheckpointCorruptError, CheckpointNotFoundError, ParamError
from openbark.params import SUNO_PARAMS, GenerationParams, SamplingParams

GENERATION_FILE = "generation_config.json"

_SEMANTIC_KEYS = (
    "semantic_vocab_size",
    "text_encoding_offset",
    "text_pad_token",
    "semantic_infer_token",
    "eos_token_id",
    "max_input_semantic_length",
    "semantic_rate_hz",
    "max_new_tokens",
)
_COARSE_KEYS = (
    "coarse_semantic_pad_token",
    "coarse_infer_token",
    "coarse_rate_hz",
    "n_coarse_codebooks",
    "max_coarse_input_length",
    "max_coarse_history",
    "sliding_window_len",
)
_FINE_KEYS = ("n_fine_codebooks", "max_fine_history_length", "max_fine_input_length")


@dataclass(frozen=True, slots=True)
class _Sections:
    whole: Section
    semantic: Section
    coarse: Section
    fine: Section


def _sections(values: dict[str, Any] | None, file: Path) -> _Sections:
    whole = Section(file, "", values or {})
    return _Sections(
        whole,
        whole.sub("semantic_config"),
        whole.sub("coarse_acoustics_config"),
        whole.sub("fine_acoustics_config"),
    )


def _has_suno_vocabularies(sizes: ModelSizes) -> bool:
    suno = BarkConfig()
    return all(
        (ours.input_vocab_size, ours.output_vocab_size)
        == (theirs.input_vocab_size, theirs.output_vocab_size)
        for ours, theirs in (
            (sizes.semantic, suno.semantic),
            (sizes.coarse, suno.coarse),
            (sizes.fine, suno.fine),
        )
    )


def assemble(sizes: ModelSizes, values: dict[str, Any] | None, file: Path) -> BarkConfig:
    """Sizes from config.json and the contents of generation_config.json (None: there is no such file)
    to a `BarkConfig`.

    Raises CheckpointNotFoundError without a file that is needed, CheckpointCorruptError when keys are
    missing or the numbers contradict each other.
    """
    parts = _sections(values, file)
    if not _has_suno_vocabularies(sizes):
        missing = [
            *parts.semantic.absent(*_SEMANTIC_KEYS),
            *parts.coarse.absent(*_COARSE_KEYS),
            *parts.fine.absent(*_FINE_KEYS),
        ]
        if missing:
            problem = (
                f"{file} lacks {', '.join(missing)}"
                if values is not None
                else f"{file} does not exist"
            )
            kind = CheckpointNotFoundError if values is None else CheckpointCorruptError
            raise kind(
                f"{problem}; only a checkpoint with suno/bark's vocabulary sizes can do without, because "
                "these numbers say what the tokens mean. Write them as transformers' "
                "BarkGenerationConfig names them"
            )
    codec = sizes.codec
    try:
        return BarkConfig(
            semantic=sizes.semantic,
            coarse=sizes.coarse,
            fine=sizes.fine,
            codec=codec,
            semantic_rules=_semantic_rules(parts.semantic),
            coarse_rules=_coarse_rules(parts.coarse),
            fine_rules=_fine_rules(parts.fine),
            codebook_size=parts.whole.integer("codebook_size", default=codec.codebook_size),
            sample_rate=parts.whole.integer("sample_rate", default=codec.sampling_rate),
            semantic_encoder=sizes.semantic_encoder,
            text_normalizer=sizes.text_normalizer,
            name=sizes.name,
            languages=sizes.languages,
        )
    except CheckpointCorruptError as error:
        if str(file) in str(error):
            raise
        raise CheckpointCorruptError(f"{file.parent}: {error}") from error


def _semantic_rules(section: Section) -> SemanticRules:
    suno = SemanticRules()
    eos_token = section.integer("eos_token_id", default=suno.eos_token)
    return SemanticRules(
        semantic_vocab_size=section.integer(
            "semantic_vocab_size", default=suno.semantic_vocab_size
        ),
        text_encoding_offset=section.integer(
            "text_encoding_offset", default=suno.text_encoding_offset
        ),
        text_pad_token=section.integer("text_pad_token", default=suno.text_pad_token),
        semantic_pad_token=section.integer("semantic_pad_token", default=eos_token),
        eos_token=eos_token,
        infer_token=section.integer("semantic_infer_token", default=suno.infer_token),
        max_text_tokens=section.integer("max_input_semantic_length", default=suno.max_text_tokens),
        rate_hz=section.number("semantic_rate_hz", default=suno.rate_hz),
        max_new_tokens=section.integer("max_new_tokens", default=suno.max_new_tokens),
    )


def _coarse_rules(section: Section) -> CoarseRules:
    suno = CoarseRules()
    return CoarseRules(
        semantic_pad_token=section.integer(
            "coarse_semantic_pad_token", default=suno.semantic_pad_token
        ),
        infer_token=section.integer("coarse_infer_token", default=suno.infer_token),
        rate_hz=section.number("coarse_rate_hz", default=suno.rate_hz),
        n_codebooks=section.integer("n_coarse_codebooks", default=suno.n_codebooks),
        max_semantic_input=section.integer(
            "max_coarse_input_length", default=suno.max_semantic_input
        ),
        max_history=section.integer("max_coarse_history", default=suno.max_history),
        sliding_window=section.integer("sliding_window_len", default=suno.sliding_window),
    )


def _fine_rules(section: Section) -> FineRules:
    suno = FineRules()
    return FineRules(
        n_codebooks=section.integer("n_fine_codebooks", default=suno.n_codebooks),
        max_history=section.integer("max_fine_history_length", default=suno.max_history),
        max_input=section.integer("max_fine_input_length", default=suno.max_input),
    )


def read_defaults(values: dict[str, Any] | None, file: Path) -> GenerationParams:
    """Default sampling from the contents of generation_config.json (module docstring)."""
    parts = _sections(values, file)
    try:
        return GenerationParams(
            semantic=_sampling(parts.semantic, SUNO_PARAMS.semantic),
            coarse=_sampling(parts.coarse, SUNO_PARAMS.coarse),
            fine=_fine_sampling(parts.fine),
        )
    except ParamError as error:
        raise CheckpointCorruptError(f"{file}: {error}") from error


def _sampling(section: Section, suno: SamplingParams | None) -> SamplingParams | None:
    if not section.boolean("do_sample", default=False):
        return suno
    return _as_written(section, section.number("temperature", default=1.0))


def _fine_sampling(section: Section) -> SamplingParams | None:
    temperature = section.number("temperature", default=1.0)
    if temperature == 1.0 and not section.boolean("do_sample", default=False):
        return SUNO_PARAMS.fine
    return _as_written(section, temperature)


def _as_written(section: Section, temperature: float) -> SamplingParams:
    plain = SamplingParams()
    min_eos_p = plain.min_eos_p
    if section.has("min_eos_p"):
        written = section.number("min_eos_p", default=0.0)
        min_eos_p = None if section.absent("min_eos_p") else written
    top_p = section.number("top_p", default=0.0)
    return SamplingParams(
        temperature=temperature,
        top_k=section.integer("top_k", default=0) or None,
        top_p=None if section.absent("top_p") else top_p,
        min_eos_p=min_eos_p,
    )


def generation_json(config: BarkConfig, defaults: GenerationParams) -> dict[str, Any]:
    """The contents of generation_config.json; stages that `defaults` leaves open get Suno's sampling."""
    chosen = defaults.resolve(SUNO_PARAMS)
    s, c, f = config.semantic_rules, config.coarse_rules, config.fine_rules
    semantic = {
        "eos_token_id": s.eos_token,
        "max_input_semantic_length": s.max_text_tokens,
        "max_new_tokens": s.max_new_tokens,
        "semantic_infer_token": s.infer_token,
        "semantic_pad_token": s.semantic_pad_token,
        "semantic_rate_hz": s.rate_hz,
        "semantic_vocab_size": s.semantic_vocab_size,
        "text_encoding_offset": s.text_encoding_offset,
        "text_pad_token": s.text_pad_token,
    }
    coarse = {
        "coarse_infer_token": c.infer_token,
        "coarse_rate_hz": c.rate_hz,
        "coarse_semantic_pad_token": c.semantic_pad_token,
        "max_coarse_history": c.max_history,
        "max_coarse_input_length": c.max_semantic_input,
        "n_coarse_codebooks": c.n_codebooks,
        "sliding_window_len": c.sliding_window,
    }
    fine = {
        "max_fine_history_length": f.max_history,
        "max_fine_input_length": f.max_input,
        "n_fine_codebooks": f.n_codebooks,
    }
    return {
        "model_type": "bark",
        "sample_rate": config.sample_rate,
        "codebook_size": config.codebook_size,
        "semantic_config": semantic | _sampling_json(chosen.semantic, "semantic"),
        "coarse_acoustics_config": coarse | _sampling_json(chosen.coarse, "coarse_acoustics"),
        "fine_acoustics_config": fine | _sampling_json(chosen.fine, "fine_acoustics"),
    }


def _sampling_json(sampling: SamplingParams | None, model_type: str) -> dict[str, Any]:
    chosen = SamplingParams() if sampling is None else sampling
    values: dict[str, Any] = {
        "model_type": model_type,
        "do_sample": True,
        "renormalize_logits": True,
        "temperature": chosen.temperature,
        # transformers takes an absent top_k for 50 (H24); 0 is its way to say none.
        "top_k": chosen.top_k or 0,
    }
    if chosen.top_p is not None:
        values["top_p"] = chosen.top_p
    if chosen.min_eos_p != SamplingParams().min_eos_p:
        values["min_eos_p"] = chosen.min_eos_p
    return values

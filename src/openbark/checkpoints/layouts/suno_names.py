"""Tensor names and sizes of Suno's `.pt` files <-> those of the Hugging Face layout (docs/parity.md C1).

The same tensors under other names; nothing is transposed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openbark.checkpoints.formats.json_file import Section
from openbark.config import FineGPTConfig, GPTConfig, SemanticRules
from openbark.errors import CheckpointCorruptError

STAGES = ("text", "coarse", "fine")
"""Suno's names of the three models, in the order they run."""

COMPILED_PREFIX = "_orig_mod."
"""What torch.compile puts before every name."""

_PAIRS = (
    ("transformer.wtes.", "input_embeds_layers."),
    ("transformer.wte.", "input_embeds_layer."),
    ("transformer.wpe.", "position_embeds_layer."),
    ("transformer.ln_f.", "layernorm_final."),
    ("transformer.h.", "layers."),
)
_INNER = (
    ("ln_1.", "layernorm_1."),
    ("ln_2.", "layernorm_2."),
    ("attn.c_attn.", "attn.att_proj."),
    ("attn.c_proj.", "attn.out_proj."),
    ("mlp.c_fc.", "mlp.in_proj."),
    ("mlp.c_proj.", "mlp.out_proj."),
)
_LAYER = re.compile(r"(layers|transformer\.h)\.(\d+)\.")


def from_suno(name: str) -> str:
    """The Hugging Face name within a stage; a name that is not Suno's stays as it is."""
    name = name.removeprefix(COMPILED_PREFIX)
    for theirs, ours in _PAIRS:
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    return _inner(name, {theirs: ours for theirs, ours in _INNER})


def to_suno(name: str) -> str:
    """The name Suno's code expects, without the compiler's prefix."""
    for theirs, ours in _PAIRS:
        if name.startswith(ours):
            name = theirs + name.removeprefix(ours)
            break
    return _inner(name, {ours: theirs for theirs, ours in _INNER})


def _inner(name: str, table: Mapping[str, str]) -> str:
    layer = _LAYER.match(name)
    if layer is None:
        return name
    rest = name[layer.end() :]
    for old, new in table.items():
        if rest.startswith(old):
            return layer[0] + new + rest.removeprefix(old)
    return name


def read_model_args(values: Mapping[str, Any], fine: bool, file: Path) -> GPTConfig:
    """Sizes from `model_args`; an old file has one `vocab_size` for both sides.

    Raises CheckpointCorruptError naming file and key.
    """
    section = Section(file, "model_args.", values)
    sizes: dict[str, Any] = {
        "block_size": section.integer("block_size"),
        "input_vocab_size": section.integer("input_vocab_size", "vocab_size"),
        "output_vocab_size": section.integer("output_vocab_size", "vocab_size"),
        "n_layer": section.integer("n_layer"),
        "n_head": section.integer("n_head"),
        "n_embd": section.integer("n_embd"),
        "bias": section.boolean("bias", default=False),
        "dropout": section.number("dropout", default=0.0),
    }
    try:
        if not fine:
            return GPTConfig(**sizes)
        return FineGPTConfig(
            **sizes,
            n_codes_total=section.integer("n_codes_total", default=8),
            n_codes_given=section.integer("n_codes_given", default=1),
        )
    except CheckpointCorruptError as error:
        raise CheckpointCorruptError(f"{file}: {error}") from error


def stage_of(config: GPTConfig) -> str:
    """Which of Suno's models has these sizes: only the text model has room for text ids."""
    if isinstance(config, FineGPTConfig):
        return "fine"
    return "text" if config.input_vocab_size > SemanticRules().text_pad_token else "coarse"


def model_args(config: GPTConfig) -> dict[str, Any]:
    """`model_args` as Suno's loader takes them."""
    values: dict[str, Any] = {
        "block_size": config.block_size,
        "input_vocab_size": config.input_vocab_size,
        "output_vocab_size": config.output_vocab_size,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "bias": config.bias,
        "dropout": config.dropout,
    }
    if isinstance(config, FineGPTConfig):
        values |= {"n_codes_total": config.n_codes_total, "n_codes_given": config.n_codes_given}
    return values

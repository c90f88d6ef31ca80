"""A checkpoint folder in the Hugging Face layout, opened: checked up front, tensors read when asked for.

    config.json               sizes; `config_json`
    generation_config.json    token layout, windows, default sampling; `generation_json`
    model.safetensors         weights, or model.safetensors.index.json and the shards it names
    tokenizer.json            a `tokenizers` file
    speaker_embeddings*       voices; `openbark.voices` reads them

Knows no network and no torch. Writing is `openbark.checkpoints.save`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.canonical import Source, check_tied_heads, locate
from openbark.checkpoints.config_json import read_sizes
from openbark.checkpoints.generation_json import GENERATION_FILE, assemble, read_defaults
from openbark.checkpoints.json_file import read_json
from openbark.checkpoints.tensor_files import INDEX_FILE, WEIGHTS_FILE, find_tensors
from openbark.config import BarkConfig
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)
from openbark.params import GenerationParams

__all__ = ["CONFIG_FILE", "TOKENIZER_FILE", "Checkpoint", "open_checkpoint"]

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"

_LAYOUT = (
    f"a checkpoint folder holds {CONFIG_FILE}, {GENERATION_FILE}, "
    f"{WEIGHTS_FILE} (or {INDEX_FILE} and its shards) and {TOKENIZER_FILE}"
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds. `defaults` has sampling for all three stages; `tokenizer_path`
    exists unless the folder was opened without."""

    directory: Path
    config: BarkConfig
    defaults: GenerationParams
    tokenizer_path: Path
    sources: Mapping[str, Source] = field(repr=False)

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """The tensors of one part as float32, names without `prefix`: "semantic.", "coarse_acoustics.",
        "fine_acoustics.", "codec_model.", "semantic_encoder.", or "" for all.

        Read from the files now; float32 weights are read-only views of the mapped file. Raises
        CheckpointUnsupportedError when the checkpoint has no such part.
        """
        names = [name for name in self.sources if name.startswith(prefix)]
        if not names:
            parts = sorted({name.partition(".")[0] for name in self.sources})
            raise CheckpointUnsupportedError(
                f"{self.directory} has no {prefix.rstrip('.')}; it has: {', '.join(parts)}"
            )
        return {name.removeprefix(prefix): self.sources[name].read() for name in names}


def open_checkpoint(directory: str | Path, *, need_tokenizer: bool = True) -> Checkpoint:
    """Open a folder and check everything that can be checked without reading the weights.

    `need_tokenizer=False` opens a folder that holds the model only, as transformers' `save_pretrained`
    writes it. Raises CheckpointNotFoundError naming all that is missing, CheckpointCorruptError when files
    are broken or disagree (tensor, found, expected), CheckpointUnsupportedError for models we cannot run.
    """
    folder = Path(directory).expanduser()
    _check_files(folder, need_tokenizer)
    config_path, generation_path = folder / CONFIG_FILE, folder / GENERATION_FILE
    sizes = read_sizes(read_json(config_path), config_path)
    generation = read_json(generation_path) if generation_path.exists() else None
    config = assemble(sizes, generation, generation_path)
    _check_together(config, folder)
    stored = find_tensors(folder)
    sources = locate(stored, config, folder)
    check_tied_heads(stored, config)
    return Checkpoint(
        directory=folder,
        config=config,
        defaults=read_defaults(generation, generation_path),
        tokenizer_path=folder / TOKENIZER_FILE,
        sources=sources,
    )


def _check_files(folder: Path, need_tokenizer: bool) -> None:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise CheckpointNotFoundError(f"checkpoint {folder} {what}; {_LAYOUT}")
    missing = []
    if not (folder / CONFIG_FILE).is_file():
        missing.append(CONFIG_FILE)
    if not (folder / WEIGHTS_FILE).is_file() and not (folder / INDEX_FILE).is_file():
        missing.append(WEIGHTS_FILE)
    if need_tokenizer and not (folder / TOKENIZER_FILE).is_file():
        missing.append(TOKENIZER_FILE)
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if WEIGHTS_FILE in missing and pickled:
        raise CheckpointUnsupportedError(
            f"{folder} has its weights in {pickled[0]}, a pickle, which OpenBark does not open; load the "
            "folder with transformers.BarkModel.from_pretrained(folder) and write it again with "
            f"save_pretrained(folder), which makes {WEIGHTS_FILE}"
        )
    if missing:
        raise CheckpointNotFoundError(f"{folder} lacks {', '.join(missing)}; {_LAYOUT}")


def _check_together(config: BarkConfig, folder: Path) -> None:
    """Sizes of different parts that must agree for a token of one to be an index of another."""
    size = config.codebook_size
    facts = (
        (
            config.codec.codebook_size == size,
            f"codebook_size {size} differs from the codec's {config.codec.codebook_size}",
        ),
        (
            config.codec.n_codebooks >= config.fine_rules.n_codebooks,
            f"the codec has {config.codec.n_codebooks} codebooks, "
            f"the fine stage makes {config.fine_rules.n_codebooks}",
        ),
        (
            config.fine.input_vocab_size > size,
            f"fine input_vocab_size {config.fine.input_vocab_size} does not hold "
            f"{size} codes and their padding",
        ),
    )
    for holds, problem in facts:
        if not holds:
            raise CheckpointCorruptError(f"{folder}: {problem}; correct its config files")

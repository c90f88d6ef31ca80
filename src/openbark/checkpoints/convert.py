"""From any layout to the Hugging Face one or to Suno's, tensor by tensor, bit for bit.

Weights keep the type they are stored in; weight norm keeps its two parts. Also keeps converted copies of pickled
checkpoints in our cache folder, made on first use under a lock; a user's file is never changed. Knows no
network.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.checkpoint import (
    TOKENIZER_FILE,
    VOCABULARY_FILE,
    Checkpoint,
    open_checkpoint,
    source_files,
)
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.formats.tensor_writer import TensorEntry, write_torch_file
from openbark.checkpoints.layouts.canonical import Source
from openbark.checkpoints.layouts.encodec_names import to_encodec
from openbark.checkpoints.layouts.shapes import (
    COARSE_PREFIX,
    CODEC_PREFIX,
    FINE_PREFIX,
    SEMANTIC_PREFIX,
    fine_head_aliases,
)
from openbark.checkpoints.layouts.suno_folder import LARGE_LAYERS
from openbark.checkpoints.layouts.suno_names import COMPILED_PREFIX, STAGES, model_args, to_suno
from openbark.checkpoints.layouts.tokenizer_files import read_tokenizer_json, tokenizer_files
from openbark.checkpoints.layouts.weight_norm import spellings, unfold
from openbark.checkpoints.save import derived_entries, write_folder, write_model
from openbark.config import BarkConfig, EncodecConfig
from openbark.errors import CheckpointError, CheckpointUnsupportedError
from openbark.files import locked

Announce = Callable[[str], None]
"""Takes one line for the person who waits."""

_CACHE_FORMAT = "1"
_VOICES = ("speaker_embeddings*", "voices")
_CODEC_FILE = "encodec_24khz.th"


def cache_directory() -> Path:
    """Where converted copies are kept: $OPENBARK_CACHE, or openbark in $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("OPENBARK_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "openbark"


def ready_checkpoint(checkpoint: Checkpoint, announce: Announce) -> Checkpoint:
    """The same checkpoint with its weights in safetensors: itself, or our copy of it, made now if need be.

    A copy belongs to the paths, sizes and times of the files it was made from. `announce` gets one line
    when a copy is made. Where none can be kept (read-only, full), says so and gives the checkpoint back:
    it works from the pickled files too.
    """
    if checkpoint.layout == "safetensors":
        return checkpoint
    files = source_files(checkpoint)
    folder = cache_directory() / "converted"
    target = folder / f"{checkpoint.directory.resolve().name[:60]}-{_identity(files)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{target.name}.lock"):
            return _cached(checkpoint, target, announce)
    except (OSError, CheckpointError) as error:
        announce(f"reading {checkpoint.directory} without a converted copy: {error}")
        return checkpoint


def _cached(checkpoint: Checkpoint, target: Path, announce: Announce) -> Checkpoint:
    opened = partial(
        open_checkpoint,
        target,
        need_tokenizer=checkpoint.tokenizer_path.is_file(),
        parts=checkpoint.parts,
    )
    try:
        copy = opened()
    except CheckpointError:
        size = sum(entry.n_bytes for entry in _verbatim(checkpoint))
        announce(
            f"converting {checkpoint.directory}, once: {size / 1e9:.2f} GB of weights to {target}"
        )
        _write_hf(checkpoint, target, overwrite=True, derived=False)
        copy = opened()
    return replace(copy, directory=checkpoint.directory, layout=checkpoint.layout)


def _identity(files: list[Path]) -> str:
    digest = hashlib.sha256(_CACHE_FORMAT.encode())
    for file in files:
        facts = file.stat()
        digest.update(f"{file.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def convert_to_hf(checkpoint: Checkpoint, directory: str | Path) -> Path:
    """Write the layout that `transformers.BarkModel.from_pretrained` and AutoProcessor load, voices included.

    Raises CheckpointError when the folder exists or cannot be written.
    """
    return _write_hf(checkpoint, directory, overwrite=False, derived=True)


def _write_hf(
    checkpoint: Checkpoint, directory: str | Path, *, overwrite: bool, derived: bool
) -> Path:
    entries = list(_verbatim(checkpoint))
    if derived:
        entries += derived_entries(checkpoint.config, checkpoint.part(""), "float32")
    kinds = {entry.dtype for entry in entries if entry.dtype != "BOOL"}
    dtype = {"F16": "float16", "BF16": "bfloat16", "F64": "float64"}.get(
        next(iter(kinds)) if len(kinds) == 1 else "", "float32"
    )

    def write(folder: Path) -> None:
        write_model(
            folder, checkpoint.config, checkpoint.defaults, entries, dtype, _tokenizer(checkpoint)
        )
        if derived:
            _copy_voices(checkpoint.directory, folder)

    return write_folder(directory, write, overwrite=overwrite)


def _verbatim(checkpoint: Checkpoint) -> Iterator[TensorEntry]:
    for name, source in checkpoint.sources.items():
        names = (name,) if len(source.parts) == 1 else spellings(name)[0]
        for stored_name, part in zip(names, source.parts, strict=True):
            yield _entry(stored_name, part)


def _entry(name: str, tensor: StoredTensor) -> TensorEntry:
    return TensorEntry(name, tensor.dtype, tensor.shape, tensor.raw)


def _tokenizer(checkpoint: Checkpoint) -> dict[str, str]:
    path = checkpoint.tokenizer_path
    if not path.is_file():
        return {}
    return tokenizer_files(read_tokenizer_json(path))


def _copy_voices(source: Path, target: Path) -> None:
    for pattern in _VOICES:
        for path in source.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, target / path.name, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target / path.name)


def convert_to_suno(checkpoint: Checkpoint, directory: str | Path) -> Path:
    """Write Suno's files: three `.pt` that its loader takes (docs/parity.md C1), EnCodec as the `encodec` package
    names it, the tokenizer.

    Raises CheckpointUnsupportedError for a model whose tokens are not laid out as Suno's code has it,
    CheckpointError when the folder exists or cannot be written.
    """
    config = checkpoint.config
    plain = BarkConfig()
    rules = ("semantic_rules", "coarse_rules", "fine_rules", "codebook_size", "codec")
    for name in rules:
        if getattr(config, name) != getattr(plain, name):
            raise CheckpointUnsupportedError(
                f"{checkpoint.directory} cannot be written as Suno's files: its {name} differs from those "
                "built into Suno's code; write it with --to hf"
            )
    large = config.semantic.n_layer >= LARGE_LAYERS

    def write(folder: Path) -> None:
        for stage in STAGES:
            content = _suno_content(checkpoint, stage)
            write_torch_file(folder / f"{stage}{'_2' if large else ''}.pt", content)
        write_torch_file(folder / _CODEC_FILE, _encodec_content(checkpoint))
        for name, text in _tokenizer(checkpoint).items():
            if name in (TOKENIZER_FILE, VOCABULARY_FILE):
                (folder / name).write_text(text, encoding="utf-8", newline="\n")

    return write_folder(directory, write)


def _suno_content(checkpoint: Checkpoint, stage: str) -> dict[str, Any]:
    config = checkpoint.config
    prefix = {"text": SEMANTIC_PREFIX, "coarse": COARSE_PREFIX, "fine": FINE_PREFIX}[stage]
    sizes = {"text": config.semantic, "coarse": config.coarse, "fine": config.fine}[stage]
    entries = {
        name: _entry(name, source.parts[0])
        for name, source in checkpoint.sources.items()
        if name.startswith(prefix)
    }
    if stage == "fine":
        entries |= {alias: entries[name] for alias, name in fine_head_aliases(config.fine).items()}
    # Suno's loader strips the compiler's prefix, transformers' converter renames no key without it.
    model = {
        COMPILED_PREFIX + to_suno(name.removeprefix(prefix)): entry
        for name, entry in entries.items()
    }
    unknown_loss = np.full((), math.nan, dtype=np.float32)
    loss = TensorEntry("best_val_loss", "F32", (), lambda: unknown_loss)
    return {"model": model, "model_args": model_args(sizes), "best_val_loss": loss}


def _encodec_content(checkpoint: Checkpoint) -> dict[str, TensorEntry]:
    codec = checkpoint.config.codec
    if not isinstance(codec, EncodecConfig):
        raise CheckpointUnsupportedError("Suno's code knows EnCodec only")
    content: dict[str, TensorEntry] = {}
    transposed = _transposed_layers(codec)
    for name, source in checkpoint.sources.items():
        if not name.startswith(CODEC_PREFIX):
            continue
        inner = name.removeprefix(CODEC_PREFIX)
        theirs = to_encodec(inner, transposed=inner.startswith(transposed))
        if not inner.endswith("conv.weight"):
            content[theirs] = _entry(theirs, source.parts[0])
            continue
        for part, suffix in enumerate(("_g", "_v")):
            content[theirs + suffix] = _weight_norm_entry(theirs + suffix, source, part)
    derived = derived_entries(checkpoint.config, checkpoint.part(""), "float32")
    for entry in derived:
        if entry.name.startswith(CODEC_PREFIX):
            theirs = to_encodec(entry.name.removeprefix(CODEC_PREFIX), transposed=False)
            content[theirs] = entry
    return content


def _weight_norm_entry(name: str, source: Source, part: int) -> TensorEntry:
    if len(source.parts) == 2:
        return _entry(name, source.parts[part])
    shape = source.parts[0].shape
    shape = shape if part else shape[:1] + (1,) * (len(shape) - 1)
    return TensorEntry(name, "F32", shape, partial(_unfolded, source, part))


def _unfolded(source: Source, part: int) -> NDArray[Any]:
    return unfold(source.read())[part]


def _transposed_layers(codec: EncodecConfig) -> tuple[str, ...]:
    """Prefixes of the decoder's upsampling layers: one after the first convolution, the LSTM and ELU, then
    one per ratio with its residual blocks and ELU between."""
    step = codec.num_residual_layers + 2
    count = len(codec.upsampling_ratios)
    return tuple(f"decoder.layers.{3 + i * step}." for i in range(count))

"""A checkpoint opened, whatever its layout: checked up front, tensors read when asked for.

The Hugging Face layout is ours too:

    config.json               sizes; `config_json`
    generation_config.json    token layout, windows, default sampling; `generation_json`
    model.safetensors         weights; or pytorch_model.bin, or an index of either and the shards it names
    tokenizer.json            a `tokenizers` file; or vocab.txt, BERT's
    speaker_embeddings*       voices; `openbark.voices` reads them

Suno's layout is `suno_folder`. Which of the two a folder has is seen from what is in it. Knows no network
and no torch. Writing is `openbark.checkpoints.save` and `openbark.checkpoints.convert`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openbark.checkpoints.formats.json_file import read_json
from openbark.checkpoints.formats.stored_tensor import StoredTensor
from openbark.checkpoints.layouts.canonical import Source, check_tied_heads, locate, part_of
from openbark.checkpoints.layouts.config_json import read_sizes
from openbark.checkpoints.layouts.generation_json import GENERATION_FILE, assemble, read_defaults
from openbark.checkpoints.layouts.shapes import CODEC_PREFIX, FINE_PREFIX
from openbark.checkpoints.layouts.suno_folder import (
    CODEC_REPOSITORY,
    STAGE_PREFIXES,
    TOKENIZER_REPOSITORIES,
    CodecFile,
    SunoFile,
    cached_codec,
    cached_tokenizer,
    may_be_weights,
    read_suno_file,
    read_suno_folder,
)
from openbark.checkpoints.layouts.tensor_files import (
    INDEX_FILE,
    PICKLED_FILE,
    WEIGHTS_FILE,
    find_tensors,
    weights_file,
)
from openbark.config import BarkConfig, FineGPTConfig
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
)
from openbark.params import SUNO_PARAMS, GenerationParams

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocab.txt"

Layout = Literal["safetensors", "bin", "suno"]
"""How weights are stored: a Hugging Face folder with safetensors or with pickles, or Suno's files."""

_LAYOUT = (
    f"a checkpoint folder holds {CONFIG_FILE}, {GENERATION_FILE}, "
    f"{WEIGHTS_FILE} (or {INDEX_FILE} and its shards, or {PICKLED_FILE}) and {TOKENIZER_FILE} (or "
    f"{VOCABULARY_FILE}); or Suno's text, coarse and fine .pt files"
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds. `defaults` has sampling for all three stages; `tokenizer_path` exists unless
    it was opened without. `directory` is the user's folder, where voices are, also when the weights come
    from our copy of it."""

    directory: Path
    config: BarkConfig
    defaults: GenerationParams
    tokenizer_path: Path
    sources: Mapping[str, Source] = field(repr=False)
    layout: Layout = "safetensors"

    @property
    def parts(self) -> frozenset[str]:
        """The networks it holds: "semantic", "coarse_acoustics", "fine_acoustics", "codec_model", ..."""
        return frozenset(part_of(name) for name in self.sources)

    def only(self, parts: Collection[str]) -> Checkpoint:
        """The same checkpoint with some of its networks. Raises CheckpointUnsupportedError for one that it
        does not hold."""
        for part in parts:
            self._check_part(part)
        kept = {name: source for name, source in self.sources.items() if part_of(name) in parts}
        return replace(self, sources=kept)

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """The tensors of one part as float32, names without `prefix`: "semantic.", "coarse_acoustics.",
        "fine_acoustics.", "codec_model.", "semantic_encoder.", or "" for all.

        Read from the files now; float32 weights are read-only views of the mapped file. Raises
        CheckpointUnsupportedError when the checkpoint has no such part.
        """
        return dict(self.part(prefix))

    def part(self, prefix: str) -> Mapping[str, NDArray[np.float32]]:
        """As `tensors`, but each tensor is read when it is asked for, and nothing of it is kept: who takes
        them one by one never has more than one in memory."""
        if prefix:
            self._check_part(part_of(prefix))
        names = [name for name in self.sources if name.startswith(prefix)]
        return _Part({name.removeprefix(prefix): self.sources[name] for name in names})

    def _check_part(self, part: str) -> None:
        if part not in self.parts:
            raise CheckpointUnsupportedError(
                f"{self.directory} has no {part}; it has: {', '.join(sorted(self.parts))}"
            )


class _Part(Mapping[str, NDArray[np.float32]]):
    """Tensors read from the files each time they are asked for."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._sources[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources


def source_files(checkpoint: Checkpoint) -> list[Path]:
    """The files that the checkpoint's tensors and tokenizer lie in."""
    files = {part.file for source in checkpoint.sources.values() for part in source.parts}
    if checkpoint.tokenizer_path.is_file():
        files.add(checkpoint.tokenizer_path)
    return sorted(files)


def open_checkpoint(
    directory: str | Path,
    *,
    need_tokenizer: bool = True,
    need_codec: bool = True,
    parts: Collection[str] | None = None,
) -> Checkpoint:
    """Open a folder (or one of Suno's files) and check all that can be checked without reading the weights.

    `need_tokenizer=False` opens a folder that holds the model only, as transformers' `save_pretrained`
    writes it; `need_codec=False` opens Suno's files where EnCodec is not on this machine; `parts` are the
    networks that must be there, in a folder of the Hugging Face layout that holds no others. Raises
    CheckpointNotFoundError naming all that is missing, CheckpointCorruptError when files are broken or
    disagree (tensor, found, expected), CheckpointUnsafeError for a pickle that asks for more than tensors,
    CheckpointUnsupportedError for models we cannot run.
    """
    path = Path(directory).expanduser()
    if is_suno(path):
        return _open_suno(path, need_tokenizer, need_codec)
    return _open_hugging_face(path, need_tokenizer, parts)


def open_suno_stage(file: Path, *, need_tokenizer: bool = True) -> Checkpoint:
    """One of Suno's files alone, whatever lies beside it: one network, with the sizes of the others Suno's
    smaller ones. A file of EnCodec's weights is the codec's network.

    Raises CheckpointNotFoundError for a file that is none of them, or when a tokenizer is needed and found
    neither beside the file nor in the hub's cache, and the other errors of `open_checkpoint`.
    """
    found = read_suno_file(file)
    if found is None:
        raise CheckpointNotFoundError(f"{file} is none of Suno's models and not EnCodec")
    return _stage_checkpoint(found, need_tokenizer)


def open_cached_codec(folder: Path, *, need_tokenizer: bool = True) -> Checkpoint:
    """The codec of a folder of Suno's files: beside them, where Suno keeps it, or in the hub's cache.

    Raises CheckpointNotFoundError with the command that fetches it.
    """
    beside = (read_suno_file(file) for file in sorted(folder.glob("encodec*.th")))
    found = next((item for item in beside if isinstance(item, CodecFile)), None) or cached_codec()
    if found is None:
        raise _no_codec(folder)
    opened = _stage_checkpoint(found, need_tokenizer=False)
    return replace(opened, tokenizer_path=_suno_tokenizer(folder, need_tokenizer))


def _stage_checkpoint(found: SunoFile | CodecFile, need_tokenizer: bool) -> Checkpoint:
    folder = found.file.parent if found.file.is_file() else found.file
    config, prefix = BarkConfig(), CODEC_PREFIX
    if isinstance(found, SunoFile):
        prefix = STAGE_PREFIXES[found.stage]
        if isinstance(found.config, FineGPTConfig):
            config = replace(config, fine=found.config)
        elif found.stage == "text":
            config = replace(config, semantic=found.config)
        else:
            config = replace(config, coarse=found.config)
    sources = locate(found.tensors, config, folder, [part_of(prefix)])
    if prefix == FINE_PREFIX:
        check_tied_heads(found.tensors, config)
    return Checkpoint(
        directory=folder,
        config=config,
        defaults=SUNO_PARAMS,
        tokenizer_path=_suno_tokenizer(folder, need_tokenizer),
        sources=sources,
        layout="suno",
    )


def _no_codec(folder: Path) -> CheckpointNotFoundError:
    return CheckpointNotFoundError(
        f"{folder} lacks EnCodec, which Suno keeps elsewhere; put encodec_24khz-d7cc33bc.th beside the "
        f"models, or say: openbark models download {CODEC_REPOSITORY}"
    )


def _suno_tokenizer(folder: Path, needed: bool) -> Path:
    """The tokenizer of Suno's files: beside them, or in the hub's cache."""
    found = _tokenizer(folder) or cached_tokenizer()
    if found is None and needed:
        raise CheckpointNotFoundError(
            f"{folder} lacks the tokenizer of Suno's models; put the {TOKENIZER_FILE} or {VOCABULARY_FILE} "
            f"of {TOKENIZER_REPOSITORIES[0]} beside the models, or say: openbark models download "
            f"{TOKENIZER_REPOSITORIES[0]}"
        )
    return found or folder / TOKENIZER_FILE


def is_suno(path: Path) -> bool:
    """Whether a path is read as Suno's layout: a file, or a folder without the other one's model."""
    if path.is_file():
        return path.suffix not in (".json", ".safetensors")
    if not path.is_dir() or weights_file(path) is not None:
        return False
    config = path / CONFIG_FILE
    if config.is_file() and read_json(config).get("model_type") not in (None, "bark"):
        return False
    return any(may_be_weights(file) for file in path.iterdir())


def _open_hugging_face(
    folder: Path, need_tokenizer: bool, parts: Collection[str] | None
) -> Checkpoint:
    _check_files(folder, need_tokenizer)
    config_path, generation_path = folder / CONFIG_FILE, folder / GENERATION_FILE
    sizes = read_sizes(read_json(config_path), config_path)
    generation = read_json(generation_path) if generation_path.exists() else None
    config = assemble(sizes, generation, generation_path)
    _check_together(config, folder)
    stored = find_tensors(folder)
    sources = locate(stored, config, folder, parts)
    check_tied_heads(stored, config)
    pickled = (weights_file(folder) or "").startswith("pytorch")
    return Checkpoint(
        directory=folder,
        config=config,
        defaults=read_defaults(generation, generation_path),
        tokenizer_path=_tokenizer(folder) or folder / TOKENIZER_FILE,
        sources=sources,
        layout="bin" if pickled else "safetensors",
    )


def _open_suno(path: Path, need_tokenizer: bool, need_codec: bool) -> Checkpoint:
    found = read_suno_folder(path)
    folder = found.directory
    codec = found.codec or cached_codec()
    if codec is None and need_codec:
        raise _no_codec(folder)
    fine = found.stages["fine"].config
    if not isinstance(fine, FineGPTConfig):
        raise CheckpointCorruptError(f"{found.stages['fine'].file} has no fine sizes")
    config = BarkConfig(
        semantic=found.stages["text"].config, coarse=found.stages["coarse"].config, fine=fine
    )
    _check_together(config, folder)
    stored: dict[str, StoredTensor] = {}
    for model in found.stages.values():
        stored.update(model.tensors)
    if codec is not None:
        stored.update(codec.tensors)
    networks = [*STAGE_PREFIXES.values(), *([CODEC_PREFIX] if codec is not None else [])]
    sources = locate(stored, config, folder, [part_of(prefix) for prefix in networks])
    check_tied_heads(stored, config)
    return Checkpoint(
        directory=folder,
        config=config,
        defaults=SUNO_PARAMS,
        tokenizer_path=_suno_tokenizer(folder, need_tokenizer),
        sources=sources,
        layout="suno",
    )


def _tokenizer(folder: Path) -> Path | None:
    files = (folder / name for name in (TOKENIZER_FILE, VOCABULARY_FILE))
    return next((file for file in files if file.is_file()), None)


def _check_files(folder: Path, need_tokenizer: bool) -> None:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise CheckpointNotFoundError(f"checkpoint {folder} {what}; {_LAYOUT}")
    missing = []
    if not (folder / CONFIG_FILE).is_file():
        missing.append(CONFIG_FILE)
    if weights_file(folder) is None:
        missing.append(WEIGHTS_FILE)
    if need_tokenizer and _tokenizer(folder) is None:
        missing.append(TOKENIZER_FILE)
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

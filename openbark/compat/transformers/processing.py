"""`BarkProcessor`: text and a voice preset to what `BarkModel.generate` takes (parity H30-H37).

Differences from transformers are in docs/migrating-transformers.md: text that does not fit is an error rather
than a wider tensor, extra keywords and voices go together, unsigned arrays become int64.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from openbark.api import find_checkpoint
from openbark.checkpoints.checkpoint import CONFIG_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from openbark.checkpoints.json_file import read_json
from openbark.compat.transformers.speaker_embeddings import SpeakerEmbeddings
from openbark.errors import CheckpointError, ParamError, TextError, VoiceError
from openbark.files import write_atomically
from openbark.text.normalize import normalize
from openbark.text.tokenizer import Tokenizer, squeeze
from openbark.voices.voice import Voice

__all__ = [
    "AutoProcessor",
    "AutoTokenizer",
    "BarkProcessor",
    "BarkTokenizer",
    "BatchEncoding",
    "BatchFeature",
]

_SLOTS = 256
_PROCESSOR_FILE = "processor_config.json"
_TOKENIZER_FILES = (
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    VOCABULARY_FILE,
)
_TENSORS = ("pt", "np", None)


class BatchFeature(dict[str, Any]):
    """Named arrays or tensors that move together."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def to(self, device: str | torch.device) -> Self:
        """Move every tensor, nested ones too (H37)."""
        for name, value in self.items():
            if isinstance(value, (Tensor, BatchFeature)):
                self[name] = value.to(device)
        return self


class BatchEncoding(BatchFeature):
    """`input_ids`, `attention_mask`, and `history_prompt` with a voice."""


class BarkTokenizer:
    """A checkpoint's tokenizer: text to padded ids, without an offset (H18, H30)."""

    pad_token_id = 0

    def __init__(
        self,
        tokenizer: Tokenizer,
        model_max_length: int = _SLOTS,
        text_normalizer: str = "none",
        source: Path | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.model_max_length = model_max_length
        self.text_normalizer = text_normalizer
        self.source = source

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str]) -> Self:
        """Read the tokenizer of a checkpoint folder. Raises CheckpointError."""
        folder = find_checkpoint(pretrained_model_name_or_path)
        path = folder / TOKENIZER_FILE
        if not path.is_file() and (folder / VOCABULARY_FILE).is_file():
            path = folder / VOCABULARY_FILE
        tokenizer = Tokenizer.load(path)
        config = _read(folder / CONFIG_FILE)
        generation = _read(folder / "generation_config.json")
        saved = _read(folder / _PROCESSOR_FILE).get("openbark", {})
        semantic = generation.get("semantic_config", saved)
        slots = semantic.get("max_input_semantic_length", _SLOTS)
        normalizer = config.get("openbark", saved).get("text_normalizer", "none")
        return cls(tokenizer, slots, normalizer, path)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the tokenizer's files into a folder, made if need be. Raises CheckpointError."""
        if self.source is None:
            raise CheckpointError(
                "this tokenizer was not read from a file, so there is none to copy"
            )
        folder = Path(save_directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in _TOKENIZER_FILES:
                file = self.source.with_name(name)
                if file.is_file():
                    write_atomically(folder / name, file.read_bytes())
            about = {
                "max_input_semantic_length": self.model_max_length,
                "text_normalizer": self.text_normalizer,
            }
            contents = {"processor_class": "BarkProcessor", "openbark": about}
            write_atomically(folder / _PROCESSOR_FILE, json.dumps(contents, indent=2).encode())
        except OSError as error:
            raise CheckpointError(f"cannot write the tokenizer to {folder}: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Ids of a text, as the model reads it. Raises TextError."""
        readable = squeeze(normalize(squeeze(text), self.text_normalizer))
        return [int(token) for token in self.tokenizer.encode(readable)]

    def __call__(
        self,
        text: str | Sequence[str],
        return_tensors: str | None = "pt",
        max_length: int | None = None,
        padding: bool | str = "max_length",
        truncation: bool | str = False,
        add_special_tokens: bool = False,
        return_attention_mask: bool = True,
        return_token_type_ids: bool = False,
    ) -> BatchEncoding:
        """Ids and mask [B, N] of one text or several; N is `max_length` unless `padding` says "longest".

        Raises TextError for a text of more than `max_length` tokens, unless `truncation` asks to cut it;
        ParamError for special tokens, which Bark does not have.
        """
        if add_special_tokens:
            raise ParamError("add_special_tokens is True; legal: False, Bark has no special tokens")
        if return_tensors not in _TENSORS:
            raise ParamError(f"return_tensors is {return_tensors!r}; legal: 'pt', 'np' or None")
        texts = [text] if isinstance(text, str) else list(text)
        width = self.model_max_length if max_length is None else max_length
        rows = [self._fitted(self.encode(one), width, bool(truncation)) for one in texts]
        if padding in (True, "longest", False, "do_not_pad"):
            width = max((len(row) for row in rows), default=0)
        ids = np.full((len(rows), width), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        arrays = {"input_ids": ids}
        if return_token_type_ids:
            arrays["token_type_ids"] = np.zeros_like(ids)
        if return_attention_mask:
            arrays["attention_mask"] = mask
        return BatchEncoding({name: _as(array, return_tensors) for name, array in arrays.items()})

    def _fitted(self, ids: list[int], width: int, truncation: bool) -> list[int]:
        if len(ids) > width and not truncation:
            raise TextError(
                f"the text is {len(ids)} tokens long, this model takes at most {width}; split it into "
                "sentences, or cut it with truncation=True"
            )
        return ids[:width]


class BarkProcessor:
    """Tokenizer and voices of a checkpoint."""

    preset_shape = SpeakerEmbeddings.preset_shape

    def __init__(
        self, tokenizer: BarkTokenizer, speaker_embeddings: Mapping[str, Any] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self._voices = SpeakerEmbeddings(speaker_embeddings)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_processor_name_or_path: str | os.PathLike[str],
        speaker_embeddings_dict_path: str | None = "speaker_embeddings_path.json",
    ) -> Self:
        """Read a checkpoint folder (H34). Voices are those of `speaker_embeddings_dict_path` where that file
        is there, and of the folder's own `voices`; each is read when it is used. Raises CheckpointError."""
        folder = find_checkpoint(pretrained_processor_name_or_path)
        found = cls(BarkTokenizer.from_pretrained(folder))
        found._voices = SpeakerEmbeddings.of_folder(folder, speaker_embeddings_dict_path)
        return found

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        speaker_embeddings_dict_path: str = "speaker_embeddings_path.json",
        speaker_embeddings_directory: str = "speaker_embeddings",
        push_to_hub: bool = False,
    ) -> None:
        """Write tokenizer and voices so that both `from_pretrained` read them (H35).

        Raises CheckpointError or VoiceError; ParamError for `push_to_hub`, which is not there.
        """
        if push_to_hub:
            raise ParamError("push_to_hub is not there; upload the folder with huggingface_hub")
        self.tokenizer.save_pretrained(save_directory)
        self._voices.save(
            Path(save_directory), speaker_embeddings_dict_path, speaker_embeddings_directory
        )

    @property
    def speaker_embeddings(self) -> dict[str, Any] | None:
        """The index of voices, as transformers keeps it; None where there is none."""
        return self._voices.index

    @property
    def available_voice_presets(self) -> list[str]:
        """Names of the voices (H36)."""
        return self._voices.names

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        voice_preset: str | os.PathLike[str] | Mapping[str, Any] | Voice | None = None,
        return_tensors: str | None = "pt",
        max_length: int | None = None,
        add_special_tokens: bool = False,
        return_attention_mask: bool = True,
        return_token_type_ids: bool = False,
        truncation: bool | str = False,
        padding: bool | str = "max_length",
    ) -> BatchEncoding:
        """Ids and mask [B, max_length] (the model's own by default), and `history_prompt` with a voice.

        voice_preset: a name, the path of an `.npz` (with or without its suffix), a dictionary of arrays, or
        a Voice. Raises TextError or VoiceError.
        """
        if text is None:
            raise TextError("text is missing; give one text or a list")
        encoded = self.tokenizer(
            text,
            return_tensors=return_tensors,
            max_length=max_length,
            padding=padding,
            truncation=truncation,
            add_special_tokens=add_special_tokens,
            return_attention_mask=return_attention_mask,
            return_token_type_ids=return_token_type_ids,
        )
        if voice_preset is not None:
            arrays = self._voices.arrays(voice_preset)
            prompt = {name: _as(array, return_tensors) for name, array in arrays.items()}
            encoded["history_prompt"] = BatchFeature(prompt)
        return encoded

    def _load_voice_preset(self, voice_preset: str) -> dict[str, Any]:
        return self._voices.arrays(voice_preset)

    def _validate_voice_preset_dict(self, voice_preset: Mapping[str, Any]) -> None:
        self._voices.arrays(voice_preset)

    def _verify_speaker_embeddings(self, remove_unavailable: bool = True) -> None:
        missing = [name for name in self.available_voice_presets if not self._is_there(name)]
        if remove_unavailable:
            self._voices.remove(missing)

    def _is_there(self, name: str) -> bool:
        try:
            self._voices.arrays(name)
        except VoiceError:
            return False
        return True


class AutoProcessor:
    """Finds the processor class; here always `BarkProcessor` (H18)."""

    @classmethod
    def from_pretrained(
        cls, pretrained_processor_name_or_path: str | os.PathLike[str]
    ) -> BarkProcessor:
        """Read a checkpoint folder. Raises CheckpointError."""
        return BarkProcessor.from_pretrained(pretrained_processor_name_or_path)


class AutoTokenizer:
    """Finds the tokenizer class; here always `BarkTokenizer` (H18)."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str]
    ) -> BarkTokenizer:
        """Read a checkpoint folder. Raises CheckpointError."""
        return BarkTokenizer.from_pretrained(pretrained_model_name_or_path)


def _as(array: np.ndarray[Any, Any], kind: str | None) -> Any:
    if kind == "pt":
        return torch.from_numpy(array.copy())
    return array if kind == "np" else array.tolist()


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}

"""`BarkProcessor`: text and a voice preset to what `BarkModel.generate` takes (docs/parity.md H30-H37).

Differences from transformers are in docs/migrating-transformers.md: text that does not fit is an error rather
than a wider tensor, extra keywords and voices go together, unsigned arrays become int64.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

from torch import Tensor

from openbark.compat.transformers.batches import BatchEncoding, BatchFeature, as_tensors
from openbark.compat.transformers.locating import FromHub, locate
from openbark.compat.transformers.publishing import PushToHub, ToHub, save
from openbark.compat.transformers.speaker_embeddings import SpeakerEmbeddings
from openbark.compat.transformers.tokenization import BarkTokenizer
from openbark.errors import TextError, VoiceError
from openbark.voices.triplets import TABLE_FILE
from openbark.voices.voice import Voice


class BarkProcessor(PushToHub):
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
        speaker_embeddings_dict_path: str | None = TABLE_FILE,
        **from_hub: Unpack[FromHub],
    ) -> Self:
        """Read a checkpoint folder (H34). Voices are those of `speaker_embeddings_dict_path` where that file
        is there, and of the folder's own `voices`; each is read when it is used. No weights are fetched.
        Raises CheckpointError or ParamError."""
        folder = locate(pretrained_processor_name_or_path, from_hub, weights=False)
        found = cls(BarkTokenizer.of_folder(folder))
        found._voices = SpeakerEmbeddings.of_folder(folder, speaker_embeddings_dict_path)
        return found

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        speaker_embeddings_dict_path: str = TABLE_FILE,
        speaker_embeddings_directory: str = "speaker_embeddings",
        push_to_hub: bool = False,
        **to_hub: Unpack[ToHub],
    ) -> None:
        """Write tokenizer and voices so that both `from_pretrained` read them (H35).

        Raises CheckpointError or VoiceError.
        """
        index, voices = speaker_embeddings_dict_path, speaker_embeddings_directory
        write = partial(self._write, index=index, voices=voices)
        save(write, save_directory, push_to_hub, to_hub)

    def _write(
        self, folder: Path, index: str = TABLE_FILE, voices: str = "speaker_embeddings"
    ) -> None:
        self.tokenizer.save_pretrained(folder)
        self._voices.save(folder, index, voices)

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
            prompt = {name: as_tensors(array, return_tensors) for name, array in arrays.items()}
            encoded["history_prompt"] = BatchFeature(prompt)
        return encoded

    def decode(
        self, token_ids: int | Sequence[int] | Tensor, skip_special_tokens: bool = False
    ) -> str:
        """The text of ids, by the tokenizer."""
        return self.tokenizer.decode(token_ids, skip_special_tokens)

    def batch_decode(
        self, sequences: Sequence[Any] | Tensor, skip_special_tokens: bool = False
    ) -> list[str]:
        """The texts of several rows of ids, by the tokenizer."""
        return self.tokenizer.batch_decode(sequences, skip_special_tokens)

    @property
    def model_input_names(self) -> list[str]:
        """What a call makes."""
        return [*self.tokenizer.model_input_names, "history_prompt"]

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
        cls, pretrained_processor_name_or_path: str | os.PathLike[str], **options: Any
    ) -> BarkProcessor:
        """Read a checkpoint folder; options are those of BarkProcessor. Raises CheckpointError or ParamError."""
        return BarkProcessor.from_pretrained(pretrained_processor_name_or_path, **options)

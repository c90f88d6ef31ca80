"""Which model Bark Infinity's options name, and the one that is loaded.

It is looked for where Suno's scripts find theirs, and kept as upstream keeps its models: a call that names no
model of its own takes the one that is loaded (docs/parity.md I1). Knows no generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openbark.api import Bark
from openbark.compat.infinity.options import resolve
from openbark.compat.suno.model_cache import choose_device, find_model
from openbark.errors import ParamError
from openbark.forks import ForkSafeLock

_STAGES = ("text", "coarse", "fine")


class LoadedBark:
    """The model that was loaded last; asking for another one, or for another device, loads that."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._key = ("", "")
        self._bark: Bark | None = None

    def load(self, name: str, device: str, force_reload: bool) -> Bark:
        """The model of a name on a device. Raises what `Bark.load` raises."""
        with self._lock:
            if self._bark is None or force_reload or self._key != (name, device):
                self._bark = None  # never two of them in memory
                self._bark = Bark.load(name, device, "float32")
                self._key = (name, device)
            return self._bark


_LOADED = LoadedBark()


def wants_small(values: Mapping[str, Any]) -> bool:
    """Whether the options name the small models. Raises ParamError when they differ between the stages."""
    asked = {values[f"{stage}_use_small"] for stage in _STAGES}
    if values["use_smaller_models"] or values["USE_SMALL_MODELS"]:
        return True
    if len(asked) > 1:
        raise ParamError(
            "text_use_small, coarse_use_small and fine_use_small differ; a model is used whole: set all "
            "three or none"
        )
    return asked == {True}


def wants_gpu(values: Mapping[str, Any]) -> bool:
    """Whether the options name a GPU. Raises ParamError when they differ between the stages."""
    asked = {values[f"{stage}_use_gpu"] for stage in (*_STAGES, "codec")}
    if len(asked) > 1:
        raise ParamError(
            "the use_gpu options differ; every stage computes on one device: set all four or none"
        )
    return asked == {True}


def loaded_bark(values: Mapping[str, Any]) -> Bark:
    """The model of the size and on the device that the options name, loaded on first use.

    Raises ParamError, CheckpointError, DeviceError.
    """
    device = choose_device(wants_gpu(values))
    return _LOADED.load(find_model(wants_small(values)), device, values["force_reload"])


def preload_models(
    text_use_gpu: bool = True,
    text_use_small: bool = False,
    coarse_use_gpu: bool = True,
    coarse_use_small: bool = False,
    fine_use_gpu: bool = True,
    fine_use_small: bool = False,
    codec_use_gpu: bool = True,
    force_reload: bool = False,
) -> None:
    """Load the model that `generate_audio_long` and the tools for voices will use (S14, I1).

    Raises ParamError when the stages differ, CheckpointError, DeviceError.
    """
    given = {
        "text_use_gpu": text_use_gpu,
        "text_use_small": text_use_small,
        "coarse_use_gpu": coarse_use_gpu,
        "coarse_use_small": coarse_use_small,
        "fine_use_gpu": fine_use_gpu,
        "fine_use_small": fine_use_small,
        "codec_use_gpu": codec_use_gpu,
        "force_reload": force_reload,
    }
    loaded_bark(resolve(given))

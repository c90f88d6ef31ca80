"""Which model Bark Infinity's options name, and the one that is loaded.

Without a model of your own it is the one that Suno's names use too (`preload_models`, parity I1): it is found
and kept by `openbark.compat.suno`, so that one copy serves both. Knows no generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openbark.api import Bark
from openbark.compat.suno.generation import load_model
from openbark.errors import ParamError

__all__ = ["loaded_bark", "wants_gpu", "wants_small"]

_STAGES = ("text", "coarse", "fine")


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
    small, use_gpu = wants_small(values), wants_gpu(values)
    stage = load_model(use_gpu, small, values["force_reload"], "coarse")
    bark: Bark = stage.bark
    return bark

"""Tensor names of the `encodec` package (`encodec_24khz-*.th`) <-> those of the Hugging Face layout
(docs/parity.md C2).

Convolutions are wrapped twice there (`conv.conv`, `convtr.convtr`), layers stand under `model`, codebooks
under `vq` and `_codebook`; numbers and shapes are the same.
"""

from __future__ import annotations

import re

_CODEBOOK = re.compile(r"quantizer\.vq\.layers\.(\d+)\._codebook\.(\w+)")
_LAYER = re.compile(r"(encoder|decoder)\.model\.(\d+)\.(.+)")
_WRAPPED = re.compile(r"(conv\.conv|convtr\.convtr)\.")


def from_encodec(name: str) -> str | None:
    """The Hugging Face name, or None for a name that is not the package's."""
    codebook = _CODEBOOK.fullmatch(name)
    if codebook:
        return f"quantizer.layers.{codebook[1]}.codebook.{codebook[2]}"
    layer = _LAYER.fullmatch(name)
    if layer is None:
        return None
    inner = _WRAPPED.sub("conv.", layer[3]).replace("conv.norm.", "norm.")
    return f"{layer[1]}.layers.{layer[2]}.{inner}"


def to_encodec(name: str, *, transposed: bool) -> str:
    """The package's name. `transposed`: whether the tensor belongs to a transposed convolution."""
    codebook = re.fullmatch(r"quantizer\.layers\.(\d+)\.codebook\.(\w+)", name)
    if codebook:
        return f"quantizer.vq.layers.{codebook[1]}._codebook.{codebook[2]}"
    inner = name.replace(".layers.", ".model.", 1)
    wrapped = "convtr.convtr." if transposed else "conv.conv."
    return re.sub(r"\bconv\.", wrapped, inner)

"""Suno's environment variables, read when they are needed and as what they say (docs/parity.md S18).

Suno reads them at import. Here a value set after the import counts, "False" is false, and a word that is
neither true nor false is an error rather than a guess. Standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path

from openbark.errors import ParamError

MODEL_VARIABLE = "OPENBARK_MODEL"
"""Environment variable that names the model of Suno's scripts: a folder, a hub name, or "embedded"."""

FLAGS = {
    "USE_SMALL_MODELS": "SUNO_USE_SMALL_MODELS",
    "OFFLOAD_CPU": "SUNO_OFFLOAD_CPU",
    "GLOBAL_ENABLE_MPS": "SUNO_ENABLE_MPS",
}
"""Suno's names in `bark.generation`, and the variables they come from."""

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"", "0", "f", "false", "n", "no", "off"})


def parse_flag(text: str, name: str) -> bool:
    """`text` as a truth value, in any case. Raises ParamError naming `name` for any other word."""
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ParamError(f"{name} is {text!r}; allowed: true or false (also 1, 0, yes, no, on, off)")


def flag(name: str) -> bool:
    """The present value of one of FLAGS. Raises ParamError for a value that is not a truth value."""
    variable = FLAGS[name]
    return parse_flag(os.environ.get(variable, ""), variable)


def cache_folder() -> Path:
    """Where Suno keeps its `.pt` files: `$XDG_CACHE_HOME/suno/bark_v0`, by default below ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given).expanduser() if given else Path.home() / ".cache"
    return base / "suno" / "bark_v0"

"""What every `from_pretrained` takes beside a name: where on the hub, with whose token, from which cache (docs/parity.md H34)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from openbark.checkpoints.find import find_checkpoint
from openbark.checkpoints.hub.download import HubAccess
from openbark.errors import ParamError


class FromHub(TypedDict, total=False):
    """Keywords of every `from_pretrained`. `use_auth_token` is the older name of `token`; `resume_download`,
    `trust_remote_code`, `code_revision`, `use_fast` and `_commit_hash` change nothing here: downloads always
    resume, no code comes with a checkpoint, and there is one tokenizer."""

    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    token: str | bool | None
    use_auth_token: str | bool | None
    local_files_only: bool
    force_download: bool
    subfolder: str
    resume_download: bool | None
    trust_remote_code: bool | None
    code_revision: str | None
    use_fast: bool | None


_INSTEAD = {
    "gguf_file": "no Bark is stored that way; give a folder, or the name of a model on the hub",
    "ignore_mismatched_sizes": "weights that do not fit are an error; resize after loading",
    "load_in_4bit": "for smaller weights use openbark.Bark.load(path, dtype='int4')",
    "load_in_8bit": "for smaller weights use openbark.Bark.load(path, dtype='int8')",
    "max_memory": "use device_map='auto', or model.enable_cpu_offload()",
    "offload_folder": "use model.enable_cpu_offload(), which keeps resting stages in memory",
    "proxies": "set HTTPS_PROXY, as huggingface_hub wants it",
    "quantization_config": "for smaller weights use openbark.Bark.load(path, dtype='int8' or 'int4')",
    "variant": "give the folder of that variant, or its revision",
}


def locate(path: str | os.PathLike[str], given: Mapping[str, Any], *, weights: bool = True) -> Path:
    """The folder that a name and the keywords of `FromHub` mean, fetched where it has to be; `weights` False
    fetches the small files alone.

    Raises ParamError for other keywords, saying what to use; CheckpointError when there is no such model.
    """
    unknown = sorted(set(given) - set(FromHub.__annotations__))
    if unknown:
        allowed = ", ".join(sorted(FromHub.__annotations__))
        advice = _INSTEAD.get(unknown[0], f"allowed: {allowed}")
        raise ParamError(f"from_pretrained has no keyword {unknown[0]!r}; {advice}")
    token = given.get("token")
    cache = given.get("cache_dir")
    access = HubAccess(
        revision=given.get("revision"),
        cache=None if cache is None else os.fspath(cache),
        token=given.get("use_auth_token") if token is None else token,
        offline=bool(given.get("local_files_only")),
        again=bool(given.get("force_download")),
        weights=weights,
        subfolder=given.get("subfolder") or "",
    )
    return find_checkpoint(path, access)

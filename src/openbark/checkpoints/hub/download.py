"""Models on a hub, through huggingface_hub with all its settings: cache, mirror (HF_ENDPOINT), tokens,
HF_HUB_OFFLINE.

Fetches what OpenBark reads and nothing else: `suno/bark` alone holds every model four times. Large files are
fetched by `resumable`, the others by huggingface_hub; the sha256 of large ones is checked here, once per file. A
whole file is never deleted or replaced.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from openbark.checkpoints.convert import Announce, cache_directory
from openbark.checkpoints.hub.resumable import Download, fetch, file_sha256
from openbark.checkpoints.layouts.suno_folder import TOKENIZER_REPOSITORIES
from openbark.checkpoints.layouts.tensor_files import WEIGHTS_FILES
from openbark.errors import (
    CheckpointCorruptError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointUnsupportedError,
    ParamError,
)

_ID = re.compile(r"([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@([\w][\w./-]{0,199}))?")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
_SMALL_FILES = ("config.json", "generation_config.json", *_TOKENIZER_FILES)
_VOICES = re.compile(r"speaker_embeddings\w*\.json|(speaker_embeddings|voices)/.+\.(npy|npz|json)")
_SHARD = re.compile(r"(model-\d+-of-\d+\.safetensors|pytorch_model-\d+-of-\d+\.bin)")
_SUNO_SETS = (
    ("text_2.pt", "coarse_2.pt", "fine_2.pt"),
    ("text.pt", "coarse.pt", "fine.pt"),
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubAccess:
    """How a model is fetched. What is left out is as huggingface_hub's own settings have it.

    revision: a branch, tag or commit; directory: a folder to fill, in place of the hub's cache; cache: another
    cache; token: a token, True for the one that is logged in, False for none; offline: open no socket; again:
    fetch files that are there too; weights: False leaves them out, a tokenizer and voices need none; subfolder:
    the folder of the repository that holds the checkpoint.
    """

    revision: str | None = None
    directory: str | Path | None = None
    cache: str | Path | None = None
    token: str | bool | None = None
    offline: bool = False
    again: bool = False
    weights: bool = True
    subfolder: str = ""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.subfolder).parts
        if ".." in parts or PurePosixPath(self.subfolder).is_absolute() or "\\" in self.subfolder:
            raise ParamError(
                f"subfolder is {self.subfolder!r}; allowed: a relative path below the repository"
            )

    @property
    def place(self) -> Path:
        """Where files come to lie."""
        from huggingface_hub import constants

        given = self.cache if self.directory is None else self.directory
        return Path(constants.HF_HUB_CACHE) if given is None else Path(given).expanduser()


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file of a repository; `sha256` is known for large ones."""

    name: str
    size: int
    sha256: str | None


def is_hub_id(name: str) -> bool:
    """Whether a text has the form OWNER/NAME of a model on a hub, or OWNER/NAME@REVISION."""
    return _ID.fullmatch(name) is not None and ".." not in name


def _pinned(name: str, access: HubAccess) -> tuple[str, HubAccess]:
    """The repository of a name, and `access` with the revision that the name pins. Raises ParamError."""
    match = _ID.fullmatch(name)
    if match is None or ".." in name:
        raise ParamError(
            f"{name!r} is not the name of a model on a hub; allowed: OWNER/NAME or OWNER/NAME@REVISION"
        )
    repository, revision = match.groups()
    if revision is None:
        return repository, access
    if access.revision not in (None, revision):
        raise ParamError(f"{name} pins one revision and {access.revision!r} is another; give one")
    return repository, replace(access, revision=revision)


def choose_files(repository: str, names: list[str], *, weights: bool = True) -> list[str]:
    """Those of a repository's files that a Bark needs: one set of weights (none if `weights` is False), sizes,
    tokenizer, voices.

    Raises CheckpointUnsupportedError when there are no weights among them.
    """
    if repository in TOKENIZER_REPOSITORIES:
        return [name for name in names if name in _TOKENIZER_FILES]
    chosen = _weights(names)
    if not chosen and weights:
        raise CheckpointUnsupportedError(
            f"{repository} on the hub holds no weights that OpenBark reads; looked for "
            f"{', '.join(WEIGHTS_FILES)}, or Suno's {', '.join(_SUNO_SETS[0])}"
        )
    wanted = chosen if weights else set()
    return [
        name for name in names if name in wanted or name in _SMALL_FILES or _VOICES.fullmatch(name)
    ]


def _weights(names: list[str]) -> set[str]:
    for name in WEIGHTS_FILES:
        if name in names:
            kind = name.partition(".")[0]
            shards = {n for n in names if _SHARD.fullmatch(n) and n.startswith(f"{kind}-")}
            return {name} | (shards if name.endswith(".json") else set())
    for trio in _SUNO_SETS:
        if set(trio) <= set(names):
            return set(trio) | {name for name in names if name.endswith(".th")}
    return set()


def cached(repository: str, access: HubAccess = HubAccess()) -> Path | None:
    """The folder of a model that is in the hub's cache, whole or not. Opens no socket."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, access = _pinned(repository, access)
    try:
        # Without a pattern, newer libraries want every file of the repository to be there.
        found = snapshot_download(
            repository,
            revision=access.revision,
            cache_dir=access.cache,
            local_files_only=True,
            allow_patterns=[str(PurePosixPath(access.subfolder, "config.json"))],
        )
        return Path(found)
    except LocalEntryNotFoundError:
        return None


def download(repository: str, announce: Announce, access: HubAccess = HubAccess()) -> Path:
    """Fetch a model, OWNER/NAME or OWNER/NAME@REVISION, into the hub's cache or a folder, and give its folder;
    what is there is kept.

    `announce` gets one line that says what, how much and where to. With HF_HUB_OFFLINE=1, and when the hub
    cannot be reached, the cache is all there is. Raises ParamError for a name of another form,
    CheckpointNotFoundError, CheckpointCorruptError for a file that is not what the hub promised,
    CheckpointError for a disk that is full.
    """
    repository, access = _pinned(repository, access)
    if access.offline or _offline():
        why = "local_files_only is given" if access.offline else "HF_HUB_OFFLINE is set"
        return _from_cache(repository, access, why)
    try:
        remote = _listing(repository, access)
    except CheckpointError:
        raise
    except Exception as error:  # Every version of the library has its own kinds.
        folder = _from_cache(repository, access, f"the hub cannot be reached ({error})")
        announce(f"{repository}: the hub cannot be reached, using the copy in {folder}")
        return folder
    wanted = _wanted(repository, remote, access)
    size = sum(item.size for item in wanted)
    announce(f"{repository}: {len(wanted)} files, {_bytes(size)}, to {access.place}")
    folder = _fetch(repository, wanted, access)
    for item in wanted:
        _verify(folder / item.name, item.sha256)
    return folder / access.subfolder


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _wanted(repository: str, remote: Mapping[str, _Remote], access: HubAccess) -> list[_Remote]:
    """Files to fetch, chosen by their names below the subfolder. Raises CheckpointUnsupportedError."""
    root = PurePosixPath(access.subfolder)
    below = {
        str(PurePosixPath(name).relative_to(root)): item
        for name, item in remote.items()
        if PurePosixPath(name).is_relative_to(root)
    }
    return [below[name] for name in choose_files(repository, list(below), weights=access.weights)]


def _from_cache(repository: str, access: HubAccess, why: str) -> Path:
    folder = cached(repository, access) if access.directory is None else None
    if folder is None:
        at = f" at revision {access.revision}" if access.revision else ""
        place = HubAccess(cache=access.cache).place
        raise CheckpointNotFoundError(
            f"{repository}{at} is not on this machine (looked in {place}) and {why}; with a "
            f"connection, say: openbark models download {repository}. A mirror is named by HF_ENDPOINT"
        )
    folder = folder / access.subfolder
    for name in WEIGHTS_FILES:
        _verify(folder / name, None)
    return folder


def _listing(repository: str, access: HubAccess) -> Mapping[str, _Remote]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        api = HfApi(token=access.token)
        info = api.model_info(repository, revision=access.revision, files_metadata=True)
    except GatedRepoError as error:
        raise CheckpointNotFoundError(
            f"{repository} wants you to accept its terms first: do so on its page, then give a token in HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{repository} has no revision {access.revision!r}; name a branch, a tag or a commit of it"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointNotFoundError(
            f"the hub has no model {repository}, or it is private: check the name, or give a token in HF_TOKEN"
        ) from error
    return {
        item.rfilename: _Remote(
            item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs is not None else None
        )
        for item in info.siblings or []
    }


def _fetch(repository: str, wanted: list[_Remote], access: HubAccess) -> Path:
    from huggingface_hub import snapshot_download

    where = access.place
    names = [item.name for item in wanted]
    try:
        if not access.again:
            _fetch_large(repository, wanted, access)
        return Path(
            snapshot_download(
                repository,
                revision=access.revision,
                allow_patterns=names,
                cache_dir=access.cache,
                local_dir=None if access.directory is None else where,
                token=access.token,
                force_download=access.again,
            )
        )
    except CheckpointError:
        raise
    except Exception as error:  # Every version of the library has its own kinds.
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise CheckpointError(
                f"no space left for {repository} in {where}; free some, or choose another place with --dir "
                "or HF_HOME, and say the same again: what has arrived is kept"
            ) from error
        if number in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise CheckpointError(
                f"cannot write {repository} to {where}: {error}; choose another place with --dir or HF_HOME"
            ) from error
        if "onsistency check" in str(error):
            raise CheckpointCorruptError(
                f"a file of {repository} arrived with another size than the hub promised; say the same "
                f"again, or set HF_ENDPOINT to another mirror: {error}"
            ) from error
        raise CheckpointNotFoundError(
            f"the download of {repository} to {where} stopped: {error}; say the same again, it goes on where "
            "it stopped"
        ) from error


def _fetch_large(repository: str, wanted: list[_Remote], access: HubAccess) -> None:
    """Put the files of known content where huggingface_hub looks for them before it fetches: `blobs` of its
    cache, named after their sha256, or their place in the folder. So a cut download goes on in any process."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    blobs = access.place / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    headers = build_hf_headers(token=access.token)
    for item in wanted:
        if item.sha256 is None:
            continue
        url = hf_hub_url(repository, item.name, revision=access.revision)
        if access.directory is None:
            target, partial_in = blobs / item.sha256, blobs
        else:
            target, partial_in = access.place / item.name, access.place / ".cache" / "openbark"
        file = Download(url, item.name, item.size, item.sha256)
        if fetch(file, headers, target, partial_in):
            _note_verified(target.resolve(), item.sha256)


def _verify(path: Path, sha256: str | None) -> None:
    """Compare a large file with its sha256, which the hub's cache has for a name, unless that was done
    before."""
    if not path.is_file():
        return
    real = path.resolve()
    expected = sha256 or (real.name if _SHA256.fullmatch(real.name) else None)
    if expected is None:
        return
    if _marker(real, expected).exists():
        return
    found = file_sha256(real)
    if found != expected:
        raise CheckpointCorruptError(
            f"{real} is not what the hub promised (sha256 {found[:16]}..., promised "
            f"{expected[:16]}...); delete that file and download the model again"
        )
    _note_verified(real, expected)


def _marker(real: Path, sha256: str) -> Path:
    facts = real.stat()
    identity = f"{real}\0{facts.st_size}\0{facts.st_mtime_ns}\0{sha256}"
    return cache_directory() / "verified" / hashlib.sha256(identity.encode()).hexdigest()


def _note_verified(real: Path, sha256: str) -> None:
    marker = _marker(real, sha256)
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError:
        # Then the next load hashes again; that is slower and no less right.
        return


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

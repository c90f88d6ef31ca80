"""`push_to_hub`, and `save_pretrained` with it: what is saved goes to a hub as one commit (docs/parity.md H35)."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from openbark.checkpoints.hub.upload import HubTarget, upload
from openbark.errors import ParamError


class ToHub(TypedDict, total=False):
    """Keywords of `save_pretrained(push_to_hub=True)`: those of `push_to_hub`, and `repo_id`, by default the
    folder's name."""

    repo_id: str
    commit_message: str | None
    commit_description: str | None
    private: bool | None
    token: str | bool | None
    revision: str | None
    create_pr: bool


class PushToHub(ABC):
    """Something that is saved as a folder."""

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the files into a folder, made if need be."""

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        commit_description: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        max_shard_size: int | str | None = None,
    ) -> str:
        """Save into OWNER/NAME on the hub, made if it is not there; returns the commit's address.

        Other files there are kept. Raises CheckpointError when the hub does not take it.
        """
        target = HubTarget(
            repo_id, commit_message, commit_description, token, private, revision, create_pr
        )
        return _publish(self._writer(max_shard_size), target)

    def _writer(self, max_shard_size: int | str | None) -> Callable[[Path], None]:
        """What writes the files; only weights have shards."""
        return self._write


def save(
    write: Callable[[Path], None],
    folder: str | os.PathLike[str],
    push_to_hub: bool,
    to_hub: Mapping[str, Any],
) -> None:
    """`save_pretrained` of every class: write, and with `push_to_hub` publish the same files.

    Raises ParamError for unknown keywords, CheckpointError when it cannot be done.
    """
    unknown = sorted(set(to_hub) - set(ToHub.__annotations__))
    if unknown or (to_hub and not push_to_hub):
        name = unknown[0] if unknown else next(iter(to_hub))
        raise ParamError(
            f"save_pretrained has no keyword {name!r}; allowed with push_to_hub=True: "
            f"{', '.join(ToHub.__annotations__)}"
        )
    write(Path(folder).expanduser())
    if push_to_hub:
        target = HubTarget(
            repository=to_hub.get("repo_id") or Path(folder).expanduser().resolve().name,
            message=to_hub.get("commit_message"),
            description=to_hub.get("commit_description"),
            token=to_hub.get("token"),
            private=to_hub.get("private"),
            revision=to_hub.get("revision"),
            proposal=to_hub.get("create_pr", False),
        )
        _publish(write, target)


def _publish(write: Callable[[Path], None], target: HubTarget) -> str:
    """From a folder of its own: what else lies in the user's stays there."""
    with TemporaryDirectory(prefix="openbark-") as temporary:
        write(Path(temporary))
        return upload(Path(temporary), target)

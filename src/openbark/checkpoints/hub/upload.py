"""Putting a folder on a hub, through huggingface_hub with its settings: mirror (HF_ENDPOINT), token, resumed parts.

Uploads what it is given and nothing else: it reads no checkpoint and deletes nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openbark.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class HubTarget:
    """Where a folder goes: OWNER/NAME, or NAME of the token's owner; made if it is not there.

    private: of a repository that is made, None for the owner's default; revision: a branch, made too;
    proposal: as a pull request rather than a commit.
    """

    repository: str
    message: str | None = None
    description: str | None = None
    token: str | bool | None = None
    private: bool | None = None
    revision: str | None = None
    proposal: bool = False


def upload(folder: Path, target: HubTarget) -> str:
    """Commit every file of a folder to a repository, and give the commit's address.

    Raises CheckpointError: no or a wrong token, no connection, a repository that may not be written.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi(token=target.token)
    try:
        made = api.create_repo(target.repository, private=target.private, exist_ok=True)
        repository = made.repo_id
        if target.revision is not None and not target.proposal:
            api.create_branch(repository, branch=target.revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=target.message or "Upload a Bark written by OpenBark",
            commit_description=target.description,
            revision=target.revision,
            create_pr=target.proposal,
        )
    except OfflineModeIsEnabled as error:
        raise CheckpointError(
            f"cannot upload to {target.repository}: HF_HUB_OFFLINE is set; unset it, or keep the folder"
        ) from error
    except (HfHubHTTPError, LocalTokenNotFoundError) as error:
        raise CheckpointError(
            f"the hub did not take {target.repository}: {error}. A token with the right to write is needed: "
            "token=..., HF_TOKEN, or `hf auth login`"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot upload to {target.repository}: {error}") from error
    return str(commit.pr_url or commit.commit_url)

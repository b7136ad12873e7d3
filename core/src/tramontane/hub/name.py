"""What names a model on a hub: org/name, or org/name:file for one file of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tramontane.errors import ModelNotFound

# the hub's own rules: letters, digits, - _ and . inside
WORD = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
REPOSITORY = re.compile(f"{WORD}/{WORD}")
FILE = re.compile(r"(?:[^/\\:\x00-\x1f]+/)*[^/\\:\x00-\x1f]+\.[A-Za-z0-9]+")
LOCAL_ENDINGS = (".bin", ".git", ".gguf", ".ggml", ".json", ".pt", ".pth", ".safetensors")
"""Of a path to a file that somebody mistyped, not of a repository."""


@dataclass(frozen=True)
class HubName:
    """A repository, and the one file of it that is wanted, or None for the whole model."""

    repo: str
    file: str | None = None

    def __str__(self) -> str:
        return self.repo if self.file is None else f"{self.repo}:{self.file}"


def is_hub_id(name: str) -> bool:
    """Whether a name could be a model on a hub; nothing is asked of one."""
    repo, colon, file = name.partition(":")
    if not REPOSITORY.fullmatch(repo) or repo.lower().endswith(LOCAL_ENDINGS):
        return False
    if "--" in repo or ".." in repo:  # the hub forbids these, and the cache uses the first
        return False
    if not colon:
        return True
    # a leading dot is hidden, or leads out of the repository
    return FILE.fullmatch(file) is not None and not any(
        part.startswith(".") for part in file.split("/")
    )


def parse(name: str) -> HubName:
    """Take a name apart. Raises ModelNotFound when it is not one."""
    if not is_hub_id(name):
        raise ModelNotFound(
            f"{name!r} is not a hub id, which looks like org/name or org/name:file.gguf"
        )
    repo, _, file = name.partition(":")
    return HubName(repo, file or None)

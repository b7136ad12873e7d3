"""Names of models on a hub: org/name, or org/name:file for a single file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tramontane.errors import ModelNotFound

# the hub's own rules: letters, digits, - _ and . inside
WORD = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
REPOSITORY = re.compile(f"{WORD}/{WORD}")
FILE = re.compile(r"(?:[^/\\:\x00-\x1f]+/)*[^/\\:\x00-\x1f]+\.[A-Za-z0-9]+")
LOCAL_ENDINGS = (".bin", ".git", ".gguf", ".ggml", ".json", ".pt", ".pth", ".safetensors")
"""A name with one of these endings is a mistyped path, not a repository."""


@dataclass(frozen=True)
class HubName:
    """A repository, and one file of it, or None for the complete model."""

    repo: str
    file: str | None = None

    def __str__(self) -> str:
        return self.repo if self.file is None else f"{self.repo}:{self.file}"


def is_hub_id(name: str) -> bool:
    """Whether a name has the form of a hub id; does not access the network."""
    repo, colon, file = name.partition(":")
    if not REPOSITORY.fullmatch(repo) or repo.lower().endswith(LOCAL_ENDINGS):
        return False
    if "--" in repo or ".." in repo:  # the hub forbids these, and the cache uses the first
        return False
    if not colon:
        return True
    # a leading dot marks a hidden file, or points outside the repository
    return FILE.fullmatch(file) is not None and not any(
        part.startswith(".") for part in file.split("/")
    )


def parse(name: str) -> HubName:
    """Parse a hub id. Raises ModelNotFound if it is not valid."""
    if not is_hub_id(name):
        raise ModelNotFound(
            f"{name!r} is not a hub id, which looks like org/name or org/name:file.gguf"
        )
    repo, _, file = name.partition(":")
    return HubName(repo, file or None)

"""Models on a Hugging Face hub: parsing their names, and downloading them into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .name import is_hub_id

if TYPE_CHECKING:
    from .options import HubOptions

__all__ = ["download", "is_hub_id", "list_files"]


def download(name: str, options: HubOptions) -> Path:
    """Download what is not cached yet; returns the model's folder or file in the cache.

    Raises ModelNotFound if there is no such model, DownloadError if the download fails.
    """
    from .model import fetch_model

    return fetch_model(name, options)


def list_files(name: str, options: HubOptions) -> dict[str, int]:
    """Bytes of all files of a repository by their names; of those in the cache, if the hub cannot
    be reached. Raises ModelNotFound, DownloadError."""
    from .model import list_model

    return list_model(name, options)

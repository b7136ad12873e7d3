"""Models on a Hugging Face hub: what their names look like, and how they get into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .name import is_hub_id

if TYPE_CHECKING:
    from tramontane.source import HubOptions

__all__ = ["download", "is_hub_id"]


def download(name: str, options: HubOptions) -> Path:
    """The model's folder or file in the cache, fetched as far as it is not there yet.

    Raises ModelNotFound when it leads nowhere, DownloadError when it cannot be had now.
    """
    from .model import fetch_model

    return fetch_model(name, options)

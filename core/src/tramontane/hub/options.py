"""How to reach a hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """How to reach a hub. token_source: cache, none, literal:TOKEN, env:NAME or path:FILE."""

    revision: str | None = None
    token_source: str = "cache"
    cache_dir: Path | None = None

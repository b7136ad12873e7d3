"""How to reach a hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tramontane.option_checks import a_path, a_text, check_options

CHECKS = {
    "revision": a_text("a branch, tag or commit", none=True),
    "token_source": a_text("cache, none, literal:TOKEN, env:NAME or path:FILE"),
    "cache_dir": a_path("a folder", none=True),
}


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """How to reach a hub. token_source: cache, none, literal:TOKEN, env:NAME or path:FILE.

    Raises RequestError for values that cannot be."""

    revision: str | None = None
    token_source: str = "cache"
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)

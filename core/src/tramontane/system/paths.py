"""Where things are kept on a user's machine, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """What can be made again: $TRAMONTANE_CACHE, $XDG_CACHE_HOME/tramontane, ~/.cache/tramontane.

    Nothing is created here.
    """
    if own := os.environ.get("TRAMONTANE_CACHE"):
        return Path(own).expanduser()
    return _xdg("XDG_CACHE_HOME", ".cache")


def user_config() -> Path | None:
    """The user's configuration file: $TRAMONTANE_CONFIG, $XDG_CONFIG_HOME/tramontane/config.toml,
    ~/.config/tramontane/config.toml; None if TRAMONTANE_CONFIG is set to nothing."""
    if (own := os.environ.get("TRAMONTANE_CONFIG")) is not None:
        return Path(own).expanduser() if own else None
    return _xdg("XDG_CONFIG_HOME", ".config") / "config.toml"


def _xdg(variable: str, default: str) -> Path:
    shared = os.environ.get(variable, "")
    # the specification tells to ignore a relative path
    home = Path(shared) if os.path.isabs(shared) else Path.home() / default
    return home / "tramontane"

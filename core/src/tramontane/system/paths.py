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
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # the specification tells to ignore a relative path
    home = Path(shared) if os.path.isabs(shared) else Path.home() / ".cache"
    return home / "tramontane"

"""The searches compiled by numba, where that is installed; without it numpy does the same."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from tramontane.system import paths


@cache
def compiled() -> ModuleType | None:
    """The module `compiled_search`, or None."""
    if find_spec("numba") is None:
        return None
    # numba reads it when it is imported; without it the cache would lie next to this file
    os.environ.setdefault("NUMBA_CACHE_DIR", str(paths.cache() / "numba"))
    from . import compiled_search

    return compiled_search

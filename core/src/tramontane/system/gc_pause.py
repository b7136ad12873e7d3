"""Pause the garbage collector while importing and loading, which create many permanent objects.

Each collection traverses all objects; together they take a fifth of the time to load a model.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def gc_paused() -> Iterator[None]:
    """Context manager or decorator: Python's cyclic garbage collector is paused."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def keep_imports() -> None:
    """Exclude all present objects from garbage collection (`gc.freeze`), once per process: to be
    called after imports, and before a model is loaded.

    There are 300,000 objects, most of them torch's. Traversing them takes a tenth of a second:
    before the first token, between later ones, and several times at exit.
    """
    gc.freeze()

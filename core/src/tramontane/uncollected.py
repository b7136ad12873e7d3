"""Importing and loading without looks for garbage: the objects that come are many, and stay.

Each look goes over all there are; together they take a fifth of the time until a model is ready.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's collector of cycles does not run meanwhile; also a decorator."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def keep_imports() -> None:
    """Never look for garbage among what is there now: for a command that has imported, and not
    loaded yet. Once: what is there later may go again.

    There are 300,000 objects, most of them torch's. A look at them takes a tenth of a second:
    before the first token, between others, and several times when the process ends.
    """
    gc.freeze()

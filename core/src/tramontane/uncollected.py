"""Importing and loading without looks for garbage: the objects that come are many, and stay.

Each look goes over all there are; together they take a fifth of the time until a model is ready.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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

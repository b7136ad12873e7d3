"""Engines end before the interpreter does.

Python kills the threads that are left when it ends. One that is inside a library of C++ then takes
the process down: a script that stops reading in the middle of an answer would end with SIGABRT.
"""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol

PATIENCE = 30.0
"""Seconds that a step may take to end."""


class Closable(Protocol):
    def close(self, timeout: float | None = None) -> None: ...


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(engine: Closable) -> None:
    """Have an engine closed when the process ends, if it lives then."""
    _open.add(engine)


@atexit.register
def _close() -> None:
    for engine in list(_open):
        engine.close(PATIENCE)

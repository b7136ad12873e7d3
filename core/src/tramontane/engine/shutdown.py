"""Shut engines down before the interpreter exits.

Python kills the remaining daemon threads at exit. One that is inside a C++ library then aborts the
process: a script that stops reading in the middle of an answer would end with SIGABRT.
"""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol

PATIENCE = 30.0
"""Seconds to wait for the running step of each engine."""


class Closable(Protocol):
    def close(self, timeout: float | None = None) -> None: ...


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(engine: Closable) -> None:
    """Close an engine when the process exits, if it still exists then."""
    _open.add(engine)


@atexit.register
def _close() -> None:
    for engine in list(_open):
        engine.close(PATIENCE)

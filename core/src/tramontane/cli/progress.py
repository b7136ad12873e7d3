"""One line on stderr while something takes long, and none where nobody is looking."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self


class Loading:
    """A loader's progress callback: bytes done, bytes in all. Gone when the work is done."""

    def __init__(self, what: str = "loading") -> None:
        self._what = what
        self._shown = 0.0
        self._drawn = False
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._shown < 0.1:
            return
        self._shown, self._drawn = now, True
        percent = 100 * done // max(total, 1)
        print(f"\r{self._what} {percent}% ", end="", file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

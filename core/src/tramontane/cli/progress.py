"""One line on stderr while something takes long, and none where nobody is looking."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

LOGGER = logging.getLogger("tramontane.progress")
"""Where whoever makes a user wait says why, in a few words, with `info`."""


class Loading:
    """A loader's progress callback: bytes done, bytes in all. Gone when the work is done."""

    def __init__(self, what: str = "loading") -> None:
        self._what = what
        self._shown = 0.0
        self._drawn = False
        self._terminal = sys.stderr.isatty()
        self._handler = _Said(self._say)

    def __enter__(self) -> Self:
        self._before = LOGGER.level
        LOGGER.addHandler(self._handler)
        LOGGER.setLevel(logging.INFO)
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._shown < 0.1:
            return
        self._shown, self._drawn = now, True
        self._draw(f"{self._what} {100 * done // max(total, 1)}%")

    def _draw(self, text: str) -> None:
        print(f"\r\033[K{text} ", end="", file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        if self._terminal:
            self._drawn = True
            self._draw(text)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        LOGGER.removeHandler(self._handler)
        LOGGER.setLevel(self._before)
        if self._drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class _Said(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())

"""What a program writes to its standard error: into the log, and its last line into errors."""

from __future__ import annotations

import logging
import os
import threading
from types import TracebackType
from typing import TextIO

from tramontane.sanitize import one_line

log = logging.getLogger(__name__)
LONGEST = 1 << 16
PATIENCE = 0.5
"""Seconds to wait for the last words of a program that has ended."""


class Said:
    """A context manager. file: to be the program's standard error. last: its last line."""

    def __init__(self, name: str) -> None:
        reading, writing = os.pipe()
        self.file: TextIO = os.fdopen(writing, "w")
        self.last = ""
        self._name = name
        self._thread = threading.Thread(
            target=self._read, args=(reading,), name="tramontane-mcp-said", daemon=True
        )

    def __enter__(self) -> Said:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    def wait(self) -> None:
        """Until nobody can say any more, for a little while at most."""
        self._thread.join(PATIENCE)

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as file:
            while line := file.readline(LONGEST):
                if text := line.decode("utf-8", "replace").strip():
                    self.last = one_line(text)
                    log.info("MCP server %s says: %s", self._name, one_line(text, 1000))

"""What an interrupted `tramontane quantize` leaves, so that the same command goes on from there.

    OUT.part        the file or folder as far as it is written
    OUT.part.json   {"identity": of the source and of what was asked, "done": tensors, ...}

A record is written after every 64 MB, once the bytes before it are on the disk; what lies behind
the last one is written again.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from tramontane.errors import RequestError

EVERY = 64 << 20
"""Bytes of the source between two records."""


class Partial:
    """A model that is being written beside the place where it will be.

    path: where to write. state: what was recorded of what lies there already; empty: nothing does.
    note: for people, why it goes on or begins anew; empty for a usual beginning. One process at a
    time may have it.
    """

    def __init__(self, out: Path, identity: str) -> None:
        """Raises RequestError where another process writes to the same place."""
        self.path = out.with_name(f"{out.name}.part")
        self._manifest = out.with_name(f"{out.name}.part.json")
        self._identity, self._since = identity, 0
        self.state: dict[str, Any] = {}
        self.note = ""
        out.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._manifest.open("r+b" if self._manifest.exists() else "w+b")
        _lock(self._file, out)
        found = self._read()
        if not found and not self.path.exists():
            pass
        elif found.get("identity") != identity:
            self.anew("the source or what was asked is another than when it was interrupted")
        elif self.path.exists() and found.get("done"):
            self.state = found
            self.note = f"went on after {found['done']} tensors, where it had been interrupted"
        else:
            _remove(self.path)
        self._write({"identity": identity, **self.state})

    def anew(self, why: str) -> None:
        """Throw away what is there."""
        _remove(self.path)
        self.state, self.note = {}, f"started over: {why}"

    def due(self, nbytes: int) -> bool:
        """One more tensor is written; whether it is time for a record. nbytes: in the source."""
        self._since += nbytes
        return self._since >= EVERY

    def record(self, done: int, **state: Any) -> None:
        """What may be relied on next time: the caller has put it on the disk. done: tensors."""
        self._since, self.state = 0, {"done": done, **state}
        self._write({"identity": self._identity, **self.state})

    def close(self, *, keep: bool) -> None:
        """Let go of it. keep: what is recorded stays for the next time."""
        if not (keep and self.state):
            _remove(self.path)
            self._file.close()
            self._manifest.unlink(missing_ok=True)
        self._file.close()

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read() or b"{}")
        except ValueError:
            return {"damaged": True}
        return found if isinstance(found, dict) else {"damaged": True}

    def _write(self, content: dict[str, Any]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(content).encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _lock(file: BinaryIO, out: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows, where nobody else can remove a file that is open
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RequestError(f"another process is writing {out}") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()

"""Files of media, within a limit; a server's requests name none."""

from __future__ import annotations

from pathlib import Path

from tramontane.errors import RequestError

from .bounds import MOST_BYTES


def file_bytes(path: Path, where: str) -> bytes:
    """A file's bytes. Raises RequestError."""
    if "\0" in str(path) or path == Path():
        raise RequestError(
            f"{where}: {'' if path == Path() else str(path)!r:.60} is no file's name"
        )
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RequestError(f"{where}: {path} has more than {MOST_BYTES >> 20} MiB; reduce it")
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{where}: cannot read {path}: {error.strerror}") from error

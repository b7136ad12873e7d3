"""Files below a folder, and nothing outside of it: no link is followed, at any level, even if
another process puts one there meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from tramontane.errors import RequestError

LONGEST_NAME = 255
DEEPEST = 8


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a relative path. Raises RequestError for what leads elsewhere."""
    parts = PurePosixPath(name.strip()).parts
    wrong = (
        not parts
        or len(parts) > DEEPEST
        or len(name) > LONGEST_NAME
        or any(part in ("..", "/") or "\\" in part or ":" in part for part in parts)
        or any(ord(char) < 32 for char in name)
    )
    if wrong or name.strip().startswith("/"):
        raise RequestError(
            f"{name!r:.80} is no name of a file here: write it relative to the folder, without '..'"
        )
    return parts


@contextmanager
def opened(folder: Path, name: str, *, write: bool = False) -> Iterator[int]:
    """The descriptor of a plain file below a folder. write: make it, and the folders above it.

    Raises RequestError.
    """
    *above, last = parts_of(name)
    held: list[int] = []
    try:
        held.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        for part in above:
            if write:
                _make(part, held[-1])
            held.append(
                os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held[-1])
            )
        # a FIFO would wait for its other end, and whoever reads it with it
        flags = os.O_WRONLY | os.O_CREAT if write else os.O_RDONLY
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK
        held.append(os.open(last, flags, 0o600, dir_fd=held[-1]))
        if not stat.S_ISREG(os.fstat(held[-1]).st_mode):
            raise RequestError(f"{name} is no plain file")
        yield held[-1]
    except OSError as error:
        raise RequestError(f"cannot open {name}: {error.strerror}") from error
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def _make(part: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(part, 0o700, dir_fd=folder)


def read(folder: Path, name: str, most: int) -> bytes:
    """A file of at most so many bytes. Raises RequestError."""
    with opened(folder, name) as descriptor:
        if os.fstat(descriptor).st_size > most:
            raise RequestError(f"{name} has more than {most:,} bytes")
        found = bytearray()
        while part := os.read(descriptor, 1 << 20):
            found += part
            if len(found) > most:
                raise RequestError(f"{name} has more than {most:,} bytes")
        return bytes(found)


def write(folder: Path, name: str, data: bytes) -> None:
    """Write a file, new or not. Raises RequestError."""
    with opened(folder, name, write=True) as descriptor:
        os.ftruncate(descriptor, 0)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]


def listed(folder: Path, most: int) -> list[tuple[str, os.stat_result]]:
    """The plain files below a folder by their relative names; at most so many, and no links."""
    found: list[tuple[str, os.stat_result]] = []
    for above, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(above, name)
            try:
                about = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode):
                found.append((path.relative_to(folder).as_posix(), about))
            if len(found) >= most:
                return found
    return found

"""Files below a folder, and nothing outside of it: no link is followed, at any level, even if
another process puts one there meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath

from tramontane.errors import RequestError

LONGEST_NAME = 255
DEEPEST = 8
DEEPEST_COUNTED = 64


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
            held.append(_folder(part, held[-1]))
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


def listed(
    folder: Path, most: int, *, since: float | None = None
) -> list[tuple[str, os.stat_result]]:
    """The plain files below a folder by their relative names; at most so many, and no links. Bytes
    of a name that are no text are replaced. since: those that were last changed before are removed.
    """
    found: list[tuple[str, os.stat_result]] = []
    with suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with closing(_files(top, "", 1)) as files:
            for place, above, name, about in files:
                if since is not None and about.st_mtime < since:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=place)
                    continue
                found.append((as_text(above + name), about))
                if len(found) >= most:
                    break
    return found


def as_text(name: str) -> str:
    """A file's name without what JSON and a model's prompt cannot have."""
    return os.fsencode(name).decode("utf-8", "replace")


def size(folder: Path) -> int | None:
    """Bytes on the disk of all that is below a folder; None where some of it cannot be counted."""
    try:
        return _size(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW), 1)
    except OSError:
        return None


def _size(place: int, depth: int) -> int:
    try:
        if depth > DEEPEST_COUNTED:
            raise OSError("too deep to count")
        total = os.fstat(place).st_blocks * 512
        for name in os.listdir(place):
            with suppress(FileNotFoundError):
                about = os.stat(name, dir_fd=place, follow_symlinks=False)
                if stat.S_ISDIR(about.st_mode):
                    total += _size(_folder(name, place), depth + 1)
                else:
                    total += about.st_blocks * 512
        return total
    finally:
        os.close(place)


def _folder(name: str, place: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)


def _files(place: int, above: str, depth: int) -> Generator[tuple[int, str, str, os.stat_result]]:
    """(descriptor of its folder, name of that, its own name, what it is) of each plain file."""
    try:
        folders = []
        for name in sorted(os.listdir(place)):
            with suppress(OSError):
                about = os.stat(name, dir_fd=place, follow_symlinks=False)
                if stat.S_ISREG(about.st_mode):
                    yield place, above, name, about
                elif stat.S_ISDIR(about.st_mode) and depth < DEEPEST:
                    folders.append(name)
        for name in folders:
            with suppress(OSError):
                yield from _files(_folder(name, place), f"{above}{name}/", depth + 1)
    finally:
        os.close(place)

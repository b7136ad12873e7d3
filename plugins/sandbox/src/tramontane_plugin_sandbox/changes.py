"""What a program has written into its folder, read as what a stranger wrote."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from tramontane.agent import inside

PICTURES = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff"}
"""Names' endings, and how such files begin."""
DEEPEST, ENTRIES = 4, 4000
"""How far and how much of a folder is looked at."""
Marks = dict[str, tuple[int, int, int]]
"""A file's name, from the folder on, to what tells whether it has changed."""


def marks(folder: Path) -> Marks:
    """The files in a folder. Hidden ones, links and all else that is no plain file are passed
    over."""
    return {
        name: (state.st_mtime_ns, state.st_size, state.st_ino) for name, state in _files(folder)
    }


def changed(before: Marks, after: Marks) -> list[str]:
    """Files that are new or other than before, by name."""
    return sorted(name for name, mark in after.items() if before.get(name) != mark)


def pictures(folder: Path, names: Sequence[str], *, most: int, largest: int) -> list[bytes]:
    """The PNG and JPEG files among these names: at most so many, each of at most so many bytes."""
    found: list[bytes] = []
    for name in names:
        start = PICTURES.get(Path(name).suffix.lower())
        if start is None or len(found) == most:
            continue
        data = read(folder, name, largest)
        if data.startswith(start):
            found.append(data)
    return found


def read(folder: Path, name: str, largest: int) -> bytes:
    """A plain file's bytes; b"" where it is none, is reached by a link, or is larger."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, place)
        *parents, last = Path(name).parts
        for parent in parents:
            place = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=place)
            stack.callback(os.close, place)
        # not to wait for whoever writes into a pipe
        opened = os.open(last, os.O_RDONLY | os.O_NONBLOCK | flags, dir_fd=place)
        with open(opened, "rb") as file:
            state = os.fstat(opened)
            if stat.S_ISREG(state.st_mode) and state.st_size <= largest:
                data = file.read(largest + 1)
                return data if len(data) <= largest else b""
    return b""


def _files(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(OSError):
        place = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        yield from itertools.islice(_below(place, "", 0), ENTRIES)


def _below(place: int, above: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """Each folder is opened from the one above it, and only if it is one then: not what has been
    put in its place meanwhile, such as a pipe that would be waited for."""
    try:
        names = sorted(name for name in os.listdir(place) if not name.startswith("."))
        folders = []
        for name in names:
            with contextlib.suppress(OSError):
                state = os.stat(name, dir_fd=place, follow_symlinks=False)
                if stat.S_ISREG(state.st_mode):
                    yield inside.as_text(above + name), state
                elif stat.S_ISDIR(state.st_mode) and depth < DEEPEST:
                    folders.append(name)
        for name in folders:
            with contextlib.suppress(OSError):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(name, flags, dir_fd=place)
                yield from _below(inner, f"{above}{name}/", depth + 1)
    finally:
        os.close(place)

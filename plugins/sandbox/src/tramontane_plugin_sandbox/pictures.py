"""Pictures that a program left in its folder, read as what a stranger wrote."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENDINGS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
STARTS = {"image/png": (b"\x89PNG\r\n\x1a\n",), "image/jpeg": (b"\xff\xd8\xff",), "image/gif": (b"GIF87a", b"GIF89a"), "image/webp": (b"RIFF",)}
DEEPEST, ENTRIES = 3, 2000
"""How far and how much of a folder is looked at."""
Mark = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """name: of its file, "" for one that was in memory. type: its media type."""

    data: bytes
    type: str
    name: str = ""


def type_of(data: bytes) -> str:
    """The media type that the first bytes tell, or ""."""
    for kind, starts in STARTS.items():
        if data.startswith(starts) and (kind != "image/webp" or data[8:12] == b"WEBP"):
            return kind
    return ""


def marks(folder: Path) -> dict[str, Mark]:
    """The pictures in a folder, and what tells whether one has changed."""
    return {name: mark for name, mark, _ in _files(folder, reading=False)}


def changed(folder: Path, before: dict[str, Mark], *, most: int, largest: int) -> list[Picture]:
    """The pictures that are new or other than before, at most so many of so many bytes."""
    found = []
    for name, mark, place in _files(folder, reading=True):
        if before.get(name) == mark or len(found) >= most or not 0 < mark[1] <= largest:
            continue
        with open(place, "rb", closefd=False) as file:
            data = file.read(largest + 1)
        if len(data) <= largest and (kind := type_of(data)):
            found.append(Picture(data, kind, name))
    return found


def _files(top: Path, *, reading: bool) -> Iterator[tuple[str, Mark, int]]:
    """(name, (time, size), descriptor). No link is followed, and nothing but a file is opened."""
    left = ENTRIES
    for path, folders, names, place in os.fwalk(top, follow_symlinks=False):
        inside = Path(path).relative_to(top)
        if len(inside.parts) >= DEEPEST:
            folders.clear()
        folders.sort()
        for name in sorted(names):
            left -= 1
            if left < 0:
                return
            if Path(name).suffix.lower() not in ENDINGS:
                continue
            with contextlib.suppress(OSError):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                state = os.stat(name, dir_fd=place, follow_symlinks=False)
                if not stat.S_ISREG(state.st_mode):
                    continue
                if not reading:
                    yield str(inside / name), (state.st_mtime_ns, state.st_size), -1
                    continue
                opened = os.open(name, flags, dir_fd=place)
                try:
                    state = os.fstat(opened)
                    if stat.S_ISREG(state.st_mode):
                        yield str(inside / name), (state.st_mtime_ns, state.st_size), opened
                finally:
                    os.close(opened)

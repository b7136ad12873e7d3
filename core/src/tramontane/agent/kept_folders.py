"""The folders of conversations' files: for how long each is kept, and how much of all."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tramontane.errors import RequestError

from . import inside

UNCOUNTED = 1 << 30
"""Bytes that a folder stands for whose files cannot be counted."""


@dataclass(frozen=True)
class Kept:
    """A folder. used: when it last was, in seconds of the epoch. size: bytes on the disk."""

    folder: Path
    used: float
    size: int


class KeptFolders:
    """seconds: for which a folder that nobody uses is kept. most: bytes of all of them. fresh:
    seconds for which none is removed, as another process may use it."""

    def __init__(self, top: Path, seconds: float, most: int, fresh: float) -> None:
        self._top, self._seconds, self._most, self._fresh = top, seconds, most, fresh
        self._sizes: dict[Path, tuple[float, int]] = {}

    def of(self, conversation: str) -> Path:
        """Where a conversation's files are."""
        return self._top / hashlib.sha256(conversation.encode()).hexdigest()[:32]

    def made(self, conversation: str) -> Path:
        """The same folder, which is there and in use now. Raises RequestError."""
        folder = self.of(conversation)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.utime(folder)
        except OSError as error:
            raise RequestError(f"cannot make {folder}: {error.strerror}") from error
        return folder

    def touch(self, folders: Iterable[Path]) -> None:
        """These are in use now."""
        for folder in folders:
            with suppress(OSError):
                os.utime(folder)

    def measured(self) -> list[Kept]:
        """All folders, that of the longest unused conversation first. Takes a while."""
        found = []
        with suppress(OSError):
            for folder in self._top.iterdir():
                with suppress(OSError):
                    used = folder.lstat().st_mtime
                    found.append(Kept(folder, used, self._size(folder, used)))
        self._sizes = {one.folder: (one.used, one.size) for one in found}
        return sorted(found, key=lambda one: one.used)

    def _size(self, folder: Path, used: float) -> int:
        known = self._sizes.get(folder)
        if known is not None and known[0] == used:
            return known[1]
        if os.open not in os.supports_dir_fd:  # Windows
            return 0
        size = inside.size(folder)
        return UNCOUNTED if size is None else size

    def set_aside(self, folders: Iterable[Kept], used: Collection[Path]) -> list[Path]:
        """Rename those that are to be removed, so that no conversation is opened in them; returns
        their new paths. used: those that stay."""
        found, now, folders = [], time.time(), list(folders)
        over = sum(one.size for one in folders) - self._most
        for one in folders:
            age = now - one.used
            if one.folder in used or not (age > self._seconds or (over > 0 and age > self._fresh)):
                continue
            aside = one.folder.with_name(f"removed-{secrets.token_hex(8)}")
            with suppress(OSError):
                one.folder.rename(aside)
                found.append(aside)
                over -= one.size
        return found

"""What processes and files take together, as no limit of the kernel's says."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .policy import End, Policy

OFTEN, SELDOM = 0.1, 0.5
"""Seconds between looks: while something grows, and while nothing does."""
ENTRIES = 50_000
"""The most files and folders in the writable folder."""


class Watch:
    """Looks at a sandbox's processes and files from inside. pause: seconds until the next look."""

    def __init__(self, policy: Policy) -> None:
        self.pause = OFTEN
        self._policy = policy
        self._limits = policy["limits"]
        self._own = policy["kind"] in ("namespaces", "bubblewrap")
        self._seen = (0, 0)
        self._sees = self._own and bool(_names("/proc"))
        self._next_walk = 0.0
        self._disk = 0

    def look(self) -> End | None:
        """What is over its limit, if anything is."""
        memory, threads = _processes() if self._sees else (0, 0)
        if threads > self._limits["processes"]:
            return {"how": "processes", "why": f"{threads} processes and threads"}
        if memory > self._limits["memory"]:
            return {"how": "memory", "why": f"{memory} bytes of memory"}
        if end := self._files():
            return end
        grown = (memory, self._disk) != self._seen
        self._seen = (memory, self._disk)
        self.pause = OFTEN if grown else min(SELDOM, self.pause * 1.5)
        return None

    def _files(self) -> End | None:
        if self._own:
            for folder in self._policy["temporary"]:
                state = os.statvfs(folder)
                used = (state.f_blocks - state.f_bfree) * state.f_frsize
                if used > self._limits["temporary"]:
                    return {"how": "disk", "why": f"{used} bytes in {folder}"}
        begun = time.monotonic()
        if begun < self._next_walk:
            return None
        self._disk, entries = _size(self._policy["folder"])
        if not self._own:  # the temporary folder is on the host's disk too
            for folder in self._policy["temporary"]:
                size, more = _size(folder)
                self._disk, entries = self._disk + size, entries + more
        # a folder of many files is walked less often: a twentieth of the time at most
        self._next_walk = begun + max(OFTEN, 20 * (time.monotonic() - begun))
        if self._disk > self._limits["disk"]:
            return {"how": "disk", "why": f"{self._disk} bytes of files"}
        if entries > ENTRIES:
            return {
                "how": "disk",
                "why": f"more than {ENTRIES} files, or folders too deep to count",
            }
        return None


def _processes() -> tuple[int, int]:
    """(bytes of memory, threads) of all processes but the first, which is this one. Raises OSError
    where they cannot be counted."""
    memory = threads = 0
    for name in os.listdir("/proc"):
        if not name.isdecimal() or name == "1":
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Threads:"):
                    threads += int(line.split()[1])
                elif line.startswith((b"RssAnon:", b"RssShmem:")):
                    memory += int(line.split()[1]) << 10
    return memory, threads


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _size(top: str) -> tuple[int, int]:
    """(bytes on the disk, entries) below a folder; stops at the most entries, which it also says
    of folders so deep that their paths are too long."""
    size = entries = 0
    try:
        for entry in _entries(top):
            entries += 1
            if entries > ENTRIES:
                break
            try:
                size += entry.stat(follow_symlinks=False).st_blocks * 512
            except (FileNotFoundError, PermissionError):
                continue
    except OSError:
        return size, ENTRIES + 1
    return size, entries


def _entries(top: str) -> Iterator[os.DirEntry[str]]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as inside:
                for entry in inside:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except PermissionError:
            # a program may close a folder before the eyes of who counts; it is opened again
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        except (FileNotFoundError, NotADirectoryError):
            continue

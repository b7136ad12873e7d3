"""The folder of prepared models: which there are, how much they may take, and whether to keep any.

Each is a file, IDENTITY-KEY.model: of the checkpoint, and of all that it was made for. A file's
time of change is when it was last used; those that were used longest ago are removed first. Imports
neither torch nor numpy, as it is asked before these are imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tramontane.system import paths

SETTING = "TRAMONTANE_PREPARED"
"""An environment variable; "off" switches all of this off for a process."""
SETTINGS = "settings.json"
ENDING, UNFINISHED = ".model", ".part"
LEAST = 32 << 20
"""Bytes of weights from which a model is kept: smaller ones are translated as quickly."""
PACKED = 2
"""At least 1 / PACKED of the bytes must be in another form than in the checkpoint."""
SHARE = 4
"""Prepared models take at most 1 / SHARE of what is free on the disk, themselves included."""
MOST = 64 << 30
"""Bytes that they take at most, unless the owner sets another limit."""
RESERVE = 2 << 30
"""Bytes of the disk that stay free."""
STALE = 3600
"""Seconds after which an unfinished file is nobody's any more."""
EXPIRES = 30 * 86400
"""Seconds after which a file that was not used is removed, such as another version's."""


@dataclass(frozen=True)
class Shelved:
    """A prepared model. used: when it was used last, in seconds since 1970."""

    path: Path
    bytes: int
    used: float


def folder() -> Path:
    """Where they are. Nothing is created here."""
    return paths.cache() / "prepared"


def is_on() -> bool:
    """Whether prepared models are used, by the environment and the owner's setting."""
    if os.environ.get(SETTING, "").lower() in ("off", "0", "no", "false"):
        return False
    return bool(_settings().get("on", True))


def is_worth(nbytes: int, packed: int) -> bool:
    """Whether to keep a model of so many bytes. packed: of those, what is in another form than in
    the checkpoint."""
    return nbytes >= LEAST and packed * PACKED >= nbytes


def path_of(identity: str, key: str) -> Path:
    return folder() / f"{identity}-{key}{ENDING}"


def has(identity: str) -> Path | None:
    """A file that was made from a checkpoint, if perhaps for something else; the last used."""
    found = [each for each in shelved() if each.path.name.startswith(f"{identity}-")]
    return max(found, key=lambda each: each.used).path if found else None


def shelved() -> list[Shelved]:
    """All of them, the last used first."""
    found = []
    for path in _files(ENDING):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append(Shelved(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda each: each.used, reverse=True)


def note_use(path: Path) -> None:
    """Say that a file was used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def remove(path: Path) -> None:
    """Remove a file. On Windows one that is mapped stays."""
    with contextlib.suppress(OSError):
        path.unlink()


def limit() -> int:
    """Bytes that all of them may take."""
    own = _settings().get("limit")
    if isinstance(own, int) and own >= 0:
        return own
    try:
        free = shutil.disk_usage(_nearest(folder())).free
    except OSError:
        return 0
    return min(MOST, (free + sum(each.bytes for each in shelved())) // SHARE)


def make_room(nbytes: int) -> bool:
    """Remove what was used longest ago until a file of so many bytes has room; whether it has.
    Removes nothing where that would not help."""
    most = limit()
    if nbytes > most:
        return False
    trim(most - nbytes)
    try:
        return shutil.disk_usage(_nearest(folder())).free >= nbytes + RESERVE
    except OSError:
        return False


def trim(most: int) -> list[Shelved]:
    """Remove what was used longest ago until all together take no more than `most` bytes; also
    what was not used for a month, and what other processes did not finish. Returns what was
    removed, but for the last."""
    for path in _files(UNFINISHED):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()
    removed, kept = [], 0
    for each in shelved():
        if kept + each.bytes > most or time.time() - each.used > EXPIRES:
            remove(each.path)
            removed.append(each)
        else:
            kept += each.bytes
    return removed


def unfinished() -> tuple[int, Path]:
    """A new file, open for reading and writing, and its path. Raises OSError, also where the
    folder may be another user's."""
    from .array_file import not_ours

    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    if why := not_ours(place.lstat()):
        raise PermissionError(f"{place}: {why}")
    place.chmod(0o700)
    handle, name = tempfile.mkstemp(suffix=UNFINISHED, dir=place)
    return handle, Path(name)


def change(*, on: bool | None = None, limit: int | None = None) -> None:
    """Set whether models are kept, or how many bytes they may take; a limit below zero goes back
    to the usual rule. Raises OSError."""
    settings = _settings()
    if on is not None:
        settings["on"] = on
    if limit is not None:
        settings["limit"] = limit
    handle, path = unfinished()
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    os.replace(path, folder() / SETTINGS)


def _settings() -> dict[str, object]:
    try:
        found = json.loads((folder() / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _files(ending: str) -> Iterator[Path]:
    try:
        yield from (path for path in folder().iterdir() if path.suffix == ending)
    except OSError:
        return


def _nearest(place: Path) -> Path:
    return next((path for path in (place, *place.parents) if path.is_dir()), Path("/"))

"""The file of a prepared model: arrays that are mapped, and a description of them.

    magic | u64 start of the description | u64 its length | its SHA-256 | zeros up to a page
    arrays, each at a multiple of 64 bytes
    the description, JSON: {"key", "size", "arrays": [[start, kind, shape], ...], "pages", "about"}

The first page is written last, so that a file that was not finished has no magic. `pages` are
checksums of some pages of the arrays, evenly spread: whoever maps the file compares these, and
looks at no more of it than that. There is no code in it, only numbers and JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import math
import mmap
import os
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"TRAMPRE1"
PREAMBLE = Struct("<8sQQ32s")
PAGE, LINE = 4096, 64
SAMPLES = 256
"""Pages that are compared, at most."""
LONGEST = 64 << 20
"""Bytes of a description, at most."""
KINDS = {
    name: np.dtype(name)
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16",
                 "float32", "float64")
}  # fmt: skip
"""What arrays may be of."""
AT_ONCE = 8 << 20
"""Bytes that are written, or whose pages are mapped, in one call."""
POPULATE_READ = 22
"""madvise's value, since Linux 5.14; older systems refuse it, and map pages as they are read."""


class Damaged(Exception):
    """A file that is not what it should be: it is removed, and made again."""


class Described:
    """Arrays that will be written, by number; each is held until then."""

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []
        self._numbers: dict[tuple[int, str, tuple[int, ...]], int] = {}

    def put(self, array: NDArray[Any]) -> int:
        """The number of an array; the same for one that is there already. Raises ValueError for one
        that cannot be stored."""
        if array.dtype.name not in KINDS or not array.flags.c_contiguous:
            raise ValueError(f"an array of {array.dtype}, strides {array.strides}")
        key = (array.ctypes.data, array.dtype.name, array.shape)
        if key not in self._numbers:
            self._numbers[key] = len(self.arrays)
            self.arrays.append(array)
        return self._numbers[key]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)


def write(
    file: BinaryIO,
    key: Mapping[str, Any],
    about: Mapping[str, Any],
    arrays: Sequence[NDArray[Any]],
    between: Callable[[int], bool] = lambda written: True,
) -> bool:
    """Write all of a file, which is open for reading and writing and without a buffer. key: what it
    was made from, and for what. about: anything that JSON can say. between: called with the bytes
    written since the last time; False stops. Returns whether it is complete. Raises OSError."""
    pieces = _Pieces(file, between)
    placed: list[tuple[int, str, list[int]]] = []
    whole = pieces.add(np.zeros(PAGE, np.uint8))
    for array in arrays:
        whole = whole and pieces.add(np.zeros(-pieces.place % LINE, np.uint8))
        placed.append((pieces.place, array.dtype.name, list(array.shape)))
        whole = whole and pieces.add(array.reshape(-1).view(np.uint8))
    whole = whole and pieces.add(np.zeros(-pieces.place % PAGE, np.uint8)) and pieces.end()
    if not whole:
        return False
    end = pieces.place
    step = max(1, -(-(end // PAGE - 1) // SAMPLES))
    description = json.dumps(
        {"key": key, "size": end, "arrays": placed, "pages": [step, _pages(file, step, end)],
         "about": about}
    ).encode()  # fmt: skip
    file.seek(end)
    _write(file, memoryview(description))
    os.fsync(file.fileno())
    file.seek(0)
    digest = hashlib.sha256(description).digest()
    _write(file, memoryview(PREAMBLE.pack(MAGIC, end, len(description), digest)))
    os.fsync(file.fileno())
    return True


class _Pieces:
    """Writes bytes one after the other, in pieces of AT_ONCE bytes at multiples of it.

    Systems whose page cache has large pages (Linux 6.16 with ext4, earlier with others) then hold
    the file in pages of 2 MiB, and map these as such.
    """

    def __init__(self, file: BinaryIO, between: Callable[[int], bool]) -> None:
        self.place = 0
        self._file, self._between = file, between
        self._piece = np.empty(AT_ONCE, np.uint8)

    def add(self, data: NDArray[np.uint8]) -> bool:
        """Whether to go on."""
        while len(data):
            used = self.place % AT_ONCE
            part = data[: AT_ONCE - used]
            self._piece[used : used + len(part)] = part
            self.place += len(part)
            data = data[len(part) :]
            if self.place % AT_ONCE == 0 and not self._put(AT_ONCE):
                return False
        return True

    def end(self) -> bool:
        """Write what is left; whether to go on."""
        return self._put(self.place % AT_ONCE)

    def _put(self, count: int) -> bool:
        _write(self._file, self._piece.data[:count])
        return self._between(count)


def _write(file: BinaryIO, data: memoryview) -> None:
    while len(data):
        data = data[file.write(data) :]


def _pages(file: BinaryIO, step: int, end: int) -> list[int]:
    """Checksums of every `step`-th page of the arrays."""
    found = []
    for start in range(PAGE, end, step * PAGE):
        file.seek(start)
        found.append(zlib.crc32(file.read(PAGE)))
    return found


class ArrayFile:
    """A file that was opened and checked, and is mapped when an array is asked for."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and Damaged for a file that is not whole, not ours, or not intact."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Damaged("it is not a file")
            if why := not_ours(status):
                raise Damaged(why)
            size, description = _described(file, status.st_size)
            self.key: dict[str, Any] = description["key"]
            self.about: dict[str, Any] = description["about"]
            self._placed = [_place(each, size) for each in description["arrays"]]
            step, sums = description["pages"]
            if not isinstance(step, int) or step < 1 or _pages(file, step, size) != sums:
                raise Damaged("its pages are not those that were written")
            self._map = _private(descriptor, size)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # so that it is read into large pages
                self._map.madvise(mmap.MADV_HUGEPAGE)
        self._whole = np.frombuffer(self._map, np.uint8)
        self.size = size

    def get(self, number: int) -> NDArray[Any]:
        """An array, mapped. Raises Damaged for a number that there is not."""
        if not isinstance(number, int) or not 0 <= number < len(self._placed):
            raise Damaged(f"there is no array {number!r}")
        start, kind, shape = self._placed[number]
        nbytes = math.prod(shape) * kind.itemsize
        return self._whole[start : start + nbytes].view(kind).reshape(shape)

    def touch(self) -> None:
        """Map all pages in the background: one call for many costs less than a fault for each."""
        if sys.platform == "linux":
            threading.Thread(target=self._touch, name="tramontane-pages", daemon=True).start()

    def _touch(self) -> None:
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
        first = self._whole.ctypes.data
        for start in range(0, self.size, AT_ONCE):
            if advise(first + start, min(AT_ONCE, self.size - start), POPULATE_READ) != 0:
                return


def not_ours(status: os.stat_result) -> str:
    """Why a file or folder may be another user's work; empty where only we can have written it."""
    if not hasattr(os, "geteuid"):
        return ""
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}"
    return "others may write it" if status.st_mode & 0o022 else ""


def _described(file: BinaryIO, length: int) -> tuple[int, dict[str, Any]]:
    """The size of the part with arrays, and the description."""
    preamble = file.read(PREAMBLE.size)
    if len(preamble) < PREAMBLE.size:
        raise Damaged("it is too short")
    magic, start, count, digest = PREAMBLE.unpack(preamble)
    if magic != MAGIC:
        raise Damaged("it was not finished, or is another version's")
    if start % PAGE or start < PAGE or count > LONGEST or start + count != length:
        raise Damaged(f"it has {length} bytes, not {start + count}")
    file.seek(start)
    raw = file.read(count)
    if hashlib.sha256(raw).digest() != digest:
        raise Damaged("its description is not what was written")
    try:
        description = json.loads(raw)
        whole = {"key", "size", "arrays", "pages", "about"} == description.keys()
    except (ValueError, AttributeError) as error:
        raise Damaged("its description is unreadable") from error
    if not whole or description["size"] != start or not isinstance(description["about"], dict):
        raise Damaged("its description lacks something")
    return start, description


def _place(told: Any, size: int) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
    """Where an array is, within the file."""
    try:
        start, name, shape = told
        kind = KINDS[name]
        sound = all(isinstance(each, int) and each >= 0 for each in (start, *shape))
        inside = sound and PAGE <= start <= start + math.prod(shape) * kind.itemsize <= size
    except (TypeError, ValueError, KeyError) as error:
        raise Damaged("an array of its description is none") from error
    if not inside or start % LINE:
        raise Damaged(f"an array at {start} is not within its {size} bytes")
    return start, kind, tuple(shape)


def _private(descriptor: int, size: int) -> mmap.mmap:
    """Copy-on-write, since torch warns of memory that it may not write to; nobody writes, so that
    all processes have the same pages."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    no_reserve = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE
    return mmap.mmap(
        descriptor, size, flags=mmap.MAP_PRIVATE | no_reserve,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )  # fmt: skip

"""Typed values of a GGUF header, read from a buffer that nobody vouches for.

Source: the GGUF specification, "gguf_metadata_value_t". Numbers are little-endian, or in a file for
other machines big-endian; a string is a uint64 length and UTF-8 bytes; an array is a uint32 element
type, a uint64 count and the elements.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Any, NoReturn, overload

import numpy as np
from numpy.typing import NDArray
from tramontane.errors import CheckpointError

NUMBERS: dict[int, str] = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "|b1",
    10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
"""numpy's name for each value type of fixed size."""

BOOL, STRING, ARRAY = 7, 8, 9
DEEPEST = 4
"""Arrays within arrays; the specification sets no limit, no file in use has more than two."""

_U32, _U64 = Struct("<I"), Struct("<Q")
_BIG_U32, _BIG_U64 = Struct(">I"), Struct(">Q")


class Cursor:
    """A position in a file that moves forward and never past the end."""

    def __init__(self, buffer: memoryview, where: str, position: int = 0) -> None:
        self.buffer = buffer
        self.where = where
        self.position = position
        self.size = len(buffer)
        self.big_endian = False

    @property
    def length(self) -> Struct:
        """A string's length, or an array's."""
        return _BIG_U64 if self.big_endian else _U64

    def refuse(self, what: str) -> NoReturn:
        raise CheckpointError(f"{self.where}: {what}")

    def take(self, count: int, what: str) -> int:
        """Step over `count` bytes and say where they began."""
        start = self.position
        if count > self.size - start:
            self.refuse(
                f"truncated: {what} needs {count} bytes at {start}, the file ends at {self.size}"
            )
        self.position = start + count
        return start

    def u32(self, what: str) -> int:
        number = _BIG_U32 if self.big_endian else _U32
        return int(number.unpack_from(self.buffer, self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(self.length.unpack_from(self.buffer, self.take(8, what))[0])

    def text(self, what: str) -> str:
        length = self.u64(f"the length of {what}")
        start = self.take(length, what)
        try:
            return str(self.buffer[start : start + length], "utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self.where}: {what} at {start} is not UTF-8") from error

    def value(self, kind: int, what: str, depth: int = 0) -> Any:
        """One value: int, float, bool, str, or Values for an array."""
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            return self.values(what, depth)
        if kind not in NUMBERS:
            self.refuse(f"{what} has the unknown value type {kind}")
        return self._numbers(kind, 1, what)[0].item()

    def values(self, what: str, depth: int = 0) -> Values:
        """An array, every element of which is checked to lie within the file."""
        if depth == DEEPEST:
            self.refuse(f"{what} nests arrays deeper than {DEEPEST}")
        kind = self.u32(f"the element type of {what}")
        count = self.u64(f"the length of {what}")
        if kind in NUMBERS:
            return Values(kind, self._numbers(kind, count, what), self, what, depth)
        if kind not in (STRING, ARRAY):
            self.refuse(f"{what} has the unknown element type {kind}")
        smallest = 8 if kind == STRING else 12
        if count > (self.size - self.position) // smallest:
            self.refuse(
                f"truncated: {what} claims {count} elements, {self.size - self.position} bytes "
                "are left"
            )
        starts = array("Q")
        if kind == STRING:
            self._step_over_strings(count, what, starts)
        else:
            for _ in range(count):
                starts.append(self.position)
                self.values(what, depth + 1)
        return Values(kind, starts, self, what, depth)

    def _step_over_strings(self, count: int, what: str, starts: array[int]) -> None:
        # without a call per string: vocabularies and merges have half a million
        position, size, buffer = self.position, self.size, self.buffer
        unpack, note = self.length.unpack_from, starts.append
        for _ in range(count):
            note(position)
            if size - position < 8:
                self.refuse(f"truncated: {what} goes on at {position}, the file ends at {size}")
            position += 8 + unpack(buffer, position)[0]
            if position > size:
                self.refuse(f"truncated: a string of {what} ends at {position}, the file at {size}")
        self.position = position

    def _numbers(self, kind: int, count: int, what: str) -> NDArray[Any]:
        dtype = np.dtype(NUMBERS[kind])
        start = self.take(count * dtype.itemsize, what)
        if kind == BOOL:
            raw = np.frombuffer(self.buffer, np.uint8, count, start)
            if count and int(raw.max()) > 1:
                self.refuse(f"{what} is a bool with the value {int(raw.max())}")
        stored = dtype.newbyteorder(">") if self.big_endian else dtype
        # a copy: small, and it outlives the mapped file
        return np.frombuffer(self.buffer, stored, count, start).astype(dtype)


class Values(Sequence[Any]):
    """An array of a GGUF header. Strings are decoded when asked for, so that opening is quick.

    Indexing raises CheckpointError for a string that is not UTF-8.
    """

    def __init__(
        self,
        kind: int,
        held: NDArray[Any] | array[int],
        cursor: Cursor,
        what: str,
        depth: int,
    ) -> None:
        self.kind = kind
        self._held = held
        self._buffer, self._where = cursor.buffer, cursor.where
        self._length, self._big_endian = cursor.length, cursor.big_endian
        self._what, self._depth = what, depth

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            if self.kind == STRING:
                return list(self._texts(self._held[index]))
            return [self[i] for i in range(*index.indices(len(self)))]
        held = self._held[index]
        if isinstance(held, np.generic):
            return held.item()
        cursor = Cursor(self._buffer, self._where, int(held))
        cursor.big_endian = self._big_endian
        return cursor.value(self.kind, f"an element of {self._what}", self._depth + 1)

    def __iter__(self) -> Iterator[Any]:
        if self.kind == STRING:
            at_once = self._all_texts()
            return self._texts(self._held) if at_once is None else iter(at_once)
        return super().__iter__()

    def _all_texts(self) -> list[str] | None:
        """All strings in a few operations: a zero instead of each length, then one split. None
        where that is not possible: a string has a zero in it, or is not UTF-8."""
        if not len(self._held):
            return []
        starts = np.frombuffer(self._held, np.uint64).astype(np.int64)
        first, last = int(starts[0]), int(starts[-1])
        end = last + 8 + self._length.unpack_from(self._buffer, last)[0]
        raw = np.frombuffer(self._buffer, np.uint8, end - first, first).copy()
        kept = np.ones(len(raw), bool)
        kept[(starts[:, None] - first + np.arange(7)).ravel()] = False
        raw[starts - first + 7] = 0
        data = raw[kept].tobytes()
        if data.count(0) != len(starts):
            return None
        try:
            return data.decode().split("\0")[1:]
        except UnicodeDecodeError:
            return None

    def _texts(self, starts: Iterable[int]) -> Iterator[str]:
        # without a call per string, and within the file: `values` has looked
        buffer, unpack = self._buffer, self._length.unpack_from
        for start in starts:
            first = start + 8
            try:
                yield str(buffer[first : first + unpack(buffer, start)[0]], "utf-8")
            except UnicodeDecodeError as error:
                what = f"an element of {self._what}"
                raise CheckpointError(f"{self._where}: {what} at {first} is not UTF-8") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(value) for value in self[:4])
        return f"[{shown}{', ...' if len(self) > 4 else ''}] ({len(self)})"

    @property
    def numeric(self) -> bool:
        """Whether `numpy` gives the elements."""
        return isinstance(self._held, np.ndarray)

    def numpy(self) -> NDArray[Any]:
        """The numbers of a numeric array; TypeError otherwise."""
        if not isinstance(self._held, np.ndarray):
            raise TypeError(f"{self._what} is not an array of numbers")
        return self._held

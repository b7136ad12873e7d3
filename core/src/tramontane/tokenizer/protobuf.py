"""A minimal reader of protobuf's wire format for SentencePiece models: the fields of a message."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tramontane.errors import CheckpointError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types; 3 and 4 (groups) are obsolete and rejected."""

Value = int | float | bytes


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Value]]:
    """Number and value of each field between two offsets.

    A varint is an int, four bytes are a float, eight an int, a string or message is bytes.
    Raises CheckpointError, with the offset, if the data is truncated or invalid.
    """
    end = len(data) if end is None else end
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        wire = tag & 7
        if wire == VARINT:
            value, at = _varint(data, at, end)
            yield tag >> 3, value
        elif wire == BYTES:
            size, at = _varint(data, at, end)
            _check(at, size, end)
            yield tag >> 3, data[at : at + size]
            at += size
        elif wire == FIXED32:
            _check(at, 4, end)
            yield tag >> 3, struct.unpack_from("<f", data, at)[0]
            at += 4
        elif wire == FIXED64:
            _check(at, 8, end)
            yield tag >> 3, struct.unpack_from("<Q", data, at)[0]
            at += 8
        else:
            raise CheckpointError(f"byte {at}: protobuf has no {wire=}")


def _check(at: int, size: int, end: int) -> None:
    if size > end - at:
        raise CheckpointError(f"byte {at}: a field of {size} bytes, but {end - at} are left")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise CheckpointError(f"byte {at}: a number is cut off or longer than 64 bits")

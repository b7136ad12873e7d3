"""The header of one GGUF file, versions 2 and 3. Nothing in it goes unchecked.

    magic "GGUF" | version u32 | tensors u64 | pairs u64
    pairs x      (key string | value type u32 | value)
    tensors x    (name string | dimensions u32 | extents u64 x dimensions | type u32 | offset u64)
    zeros up to a multiple of general.alignment (32)
    tensor data, each tensor at its offset from here

Numbers are little-endian, or all of the file big-endian, by how the version is to be read. Extents
are innermost first; shapes here are rows first. Source: the GGUF specification.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError

from .big_endian import WIDE, little_pair
from .types import REFUSED, STORED
from .values import Cursor, Values

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_PAIRS, MOST_TENSORS = 1 << 16, 1 << 20
"""Counts beyond any model; they bound the memory that a forged header can make us use."""
LONGEST_NAME = 65535


@dataclass(frozen=True)
class Stretch:
    """Where one tensor lies. shape: rows first. start: from the beginning of the file. big_endian:
    whether its numbers are."""

    name: str
    type: int
    shape: tuple[int, ...]
    start: int
    nbytes: int
    big_endian: bool = False


@dataclass(frozen=True)
class FileHeader:
    """What one file says of itself. tensors: in the file's order."""

    path: Path
    version: int
    metadata: dict[str, Any]
    tensors: dict[str, Stretch]


def read_header(buffer: memoryview, path: Path) -> FileHeader:
    """Parse and check a file's header. Raises CheckpointError, naming the file and the value."""
    cursor = Cursor(buffer, str(path))
    version, tensor_count, pair_count = _preamble(cursor)
    metadata = _metadata(cursor, pair_count)
    tensors = _tensors(cursor, tensor_count, _alignment(cursor, metadata))
    return FileHeader(path, version, metadata, tensors)


def pairs_in(buffer: memoryview, path: Path) -> Iterator[tuple[str, bytes]]:
    """The key of every metadata pair, and the pair as it lies in a little-endian file. Raises
    CheckpointError."""
    cursor = Cursor(buffer, str(path))
    _, _, count = _preamble(cursor)
    for index in range(count):
        start = cursor.position
        key = _name(cursor, f"the key of metadata pair {index}")
        if cursor.big_endian:
            yield key, little_pair(cursor, key)
            continue
        cursor.value(cursor.u32(f"the type of {key!r}"), f"{key!r}")
        yield key, bytes(buffer[start : cursor.position])


def _preamble(cursor: Cursor) -> tuple[int, int, int]:
    start = cursor.take(4, "the magic number")
    magic = bytes(cursor.buffer[start : start + 4])
    if magic != MAGIC:
        cursor.refuse(f"not a GGUF file: it begins with {magic!r}, not {MAGIC!r}")
    version = cursor.u32("the version")
    if version & 0xFFFF == 0 and version:
        cursor.big_endian = True
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version == 1:
        cursor.refuse("GGUF version 1 is not supported, convert the model again (2 and 3 are)")
    if version not in VERSIONS:
        cursor.refuse(f"unknown GGUF version {version} (supported: 2, 3)")
    tensors, pairs = cursor.u64("the tensor count"), cursor.u64("the metadata count")
    for count, most, what in (
        (tensors, MOST_TENSORS, "tensors"),
        (pairs, MOST_PAIRS, "metadata pairs"),
    ):
        if count > most:
            cursor.refuse(f"{count} {what} claimed, more than the {most} that any model has")
    return version, tensors, pairs


def _name(cursor: Cursor, what: str) -> str:
    start = cursor.position
    name = cursor.text(what)
    if not name or cursor.position - start - 8 > LONGEST_NAME:
        cursor.refuse(f"{what} at {start} has {cursor.position - start - 8} bytes")
    return name


def _metadata(cursor: Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for index in range(count):
        key = _name(cursor, f"the key of metadata pair {index}")
        if key in metadata:
            cursor.refuse(f"metadata key {key!r} occurs twice")
        kind = cursor.u32(f"the type of {key!r}")
        metadata[key] = cursor.value(kind, f"{key!r}")
    return metadata


def _alignment(cursor: Cursor, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    whole = isinstance(alignment, int) and not isinstance(alignment, bool)
    if not whole or alignment < 1 or alignment & (alignment - 1):
        cursor.refuse(f"general.alignment={alignment!r} is not a power of two")
    return int(alignment)


def _tensors(cursor: Cursor, count: int, alignment: int) -> dict[str, Stretch]:
    described: dict[str, Stretch] = {}
    for index in range(count):
        tensor = _described(cursor, index)
        if tensor.name in described:
            cursor.refuse(f"tensor {tensor.name!r} occurs twice")
        if tensor.start % alignment:
            cursor.refuse(
                f"tensor {tensor.name!r}: offset {tensor.start} is not a multiple of the "
                f"alignment {alignment}"
            )
        described[tensor.name] = tensor
    data = -(-cursor.position // alignment) * alignment
    placed = {
        name: replace(tensor, start=data + tensor.start) for name, tensor in described.items()
    }
    _check_places(cursor, list(placed.values()))
    return placed


def _described(cursor: Cursor, index: int) -> Stretch:
    name = _name(cursor, f"the name of tensor {index}")
    what = f"tensor {name!r}"
    dimensions = cursor.u32(f"the dimensions of {what}")
    if not 1 <= dimensions <= 4:
        cursor.refuse(f"{what} has {dimensions} dimensions (1 to 4 are possible)")
    extents = [cursor.u64(f"the shape of {what}") for _ in range(dimensions)]
    shape = tuple(reversed(extents))
    if 0 in shape:
        cursor.refuse(f"{what} has the shape {shape}, which holds nothing")
    kind = cursor.u32(f"the type of {what}")
    if kind not in STORED:
        known = ", ".join(stored.name for stored in STORED.values())
        cursor.refuse(
            f"{what} has type {REFUSED.get(kind, 'unknown')} ({kind}), which is not supported "
            f"(supported: {known})"
        )
    stored = STORED[kind]
    if cursor.big_endian and stored.name not in WIDE:
        cursor.refuse(
            f"{what} has type {stored.name} in a big-endian file, where ggml does not read what it "
            "has written; use a little-endian file of the model, or one of another type"
        )
    if shape[-1] % stored.block:
        cursor.refuse(
            f"{what} has rows of {shape[-1]} weights, not a multiple of {stored.name}'s "
            f"block of {stored.block}"
        )
    offset = cursor.u64(f"the offset of {what}")
    nbytes = math.prod(shape) // stored.block * stored.nbytes
    return Stretch(name, kind, shape, offset, nbytes, cursor.big_endian)


def _check_places(cursor: Cursor, tensors: list[Stretch]) -> None:
    tensors.sort(key=lambda tensor: tensor.start)
    end, before = 0, ""
    for tensor in tensors:
        if tensor.start < end:
            cursor.refuse(f"tensor {tensor.name!r} at {tensor.start} overlaps {before!r}")
        end, before = tensor.start + tensor.nbytes, tensor.name
        if end > cursor.size:
            cursor.refuse(
                f"truncated: tensor {tensor.name!r} of {tensor.nbytes} bytes ends at {end}, "
                f"the file at {cursor.size}"
            )


def scalar(metadata: dict[str, Any], key: str, path: Path) -> Any:
    """A metadata value that must not be an array; None when absent. Raises CheckpointError."""
    value = metadata.get(key)
    if isinstance(value, Values):
        raise CheckpointError(f"{path}: {key!r} is an array of {len(value)}, not a single value")
    return value

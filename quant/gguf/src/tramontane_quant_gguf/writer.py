"""Writing small GGUF files, version 3, for samples and tests. See `header.py` for the layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import TypeAlias

from .header import MAGIC
from .values import ARRAY, BOOL, STRING

UINT32, INT32, FLOAT32 = 4, 5, 6
ALIGNMENT = 32

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | Sequence[Scalar]


@dataclass(frozen=True)
class Written:
    """A tensor to write. shape: rows first. data: its bytes as ggml has them."""

    name: str
    type: int
    shape: tuple[int, ...]
    data: bytes


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Iterable[Written]) -> Path:
    """Write one file. Integers become uint32, or int32 when negative or in arrays; floats float32.

    Raises TypeError for a value that GGUF cannot hold.
    """
    with path.open("wb") as file:
        for part in gguf_bytes(metadata, tensors):
            file.write(part)
    return path


def gguf_bytes(metadata: Mapping[str, Value], tensors: Iterable[Written]) -> Iterator[bytes]:
    """The bytes of a whole file, in parts."""
    listed = list(tensors)
    pairs = [pair_bytes(key, value) for key, value in metadata.items()]
    yield header_bytes(pairs, [(t.name, t.type, t.shape, len(t.data)) for t in listed])
    for tensor in listed:
        yield tensor.data + bytes(_padding(len(tensor.data)))


Entry: TypeAlias = tuple[str, int, tuple[int, ...], int]
"""A tensor: name, type, shape with rows first, bytes."""


def header_bytes(pairs: Sequence[bytes], tensors: Sequence[Entry]) -> bytes:
    """Everything before the data, padded. pairs: as `pair_bytes` gives them."""
    parts = [MAGIC, pack("<IQQ", 3, len(tensors), len(pairs)), *pairs]
    offset = 0
    for name, kind, shape, size in tensors:
        parts.append(text_bytes(name) + pack("<I", len(shape)))
        parts += [pack("<Q", extent) for extent in reversed(shape)]
        parts.append(pack("<IQ", kind, offset))
        offset += size + _padding(size)
    whole = b"".join(parts)
    return whole + bytes(_padding(len(whole)))


def pair_bytes(key: str, value: Value) -> bytes:
    """A metadata pair. Raises TypeError for a value that GGUF cannot hold."""
    return text_bytes(key) + _typed(value)


def _padding(length: int) -> int:
    return -length % ALIGNMENT


def text_bytes(text: str) -> bytes:
    """A string as GGUF has it: its length, and UTF-8."""
    raw = text.encode()
    return pack("<Q", len(raw)) + raw


def _typed(value: Value) -> bytes:
    if isinstance(value, bool | int | float | str):
        kind = _kind(value)
        return pack("<I", kind) + _plain(kind, value)
    kinds = {_kind(element) for element in value} or {STRING}
    kind = INT32 if kinds == {UINT32, INT32} or kinds == {UINT32} else kinds.pop()
    elements = b"".join(_plain(kind, element) for element in value)
    return pack("<IIQ", ARRAY, kind, len(value)) + elements


def _kind(value: Scalar) -> int:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, str):
        return STRING
    if isinstance(value, float):
        return FLOAT32
    return UINT32 if value >= 0 else INT32


def _plain(kind: int, value: Scalar) -> bytes:
    if kind == STRING:
        return text_bytes(str(value))
    code = {BOOL: "<?", UINT32: "<I", INT32: "<i", FLOAT32: "<f"}[kind]
    return pack(code, value)

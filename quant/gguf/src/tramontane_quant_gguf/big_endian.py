"""Files for machines that have a number's highest byte first: their bytes in the usual order.

In a big-endian file every number wider than a byte is stored so: those of the header, plain
tensors, and in blocks the fields that ggml has as such numbers, or copies to one. IQ2_XXS is left
out: its words are indices in memory's order and bits in a number's, so that on such a machine ggml
does not read what it has written. The gguf package's writer leaves blocks little-endian when it is
asked for such a file; ggml would not read their scales, and neither do we. Source: ggml-quants.c,
gguf-convert-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from tramontane.block_format import Raw

from .types import STORED
from .values import ARRAY, NUMBERS, STRING, Cursor

D = (0, 2, 1)
WIDE: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType({
    **{name: ((0, size, 1),) for name, block, size in STORED.values() if block == 1},
    "Q4_0": (D,), "Q4_1": ((0, 2, 2),), "Q5_0": (D, (2, 4, 1)), "Q5_1": ((0, 2, 2), (4, 4, 1)),
    "Q8_0": (D,), "Q8_1": ((0, 2, 2),), "Q8_K": ((0, 4, 1), (260, 2, 16)),
    "Q2_K": ((80, 2, 2),), "Q3_K": ((108, 2, 1),), "Q4_K": ((0, 2, 2),), "Q5_K": ((0, 2, 2),),
    "Q6_K": ((208, 2, 1),), "IQ1_S": (D, (34, 2, 8)), "IQ1_M": ((48, 2, 4),),
    "IQ2_XS": ((0, 2, 33),), "IQ2_S": (D,), "IQ3_XXS": (D, (66, 4, 8)), "IQ3_S": (D,),
    "IQ4_NL": (D,), "IQ4_XS": ((0, 2, 2),), "TQ1_0": ((52, 2, 1),), "TQ2_0": ((64, 2, 1),),
    "MXFP4": (), "NVFP4": (), "Q1_0": (D,), "Q2_0": (D,),
})  # fmt: skip
"""The wide numbers of a block, or of a plain number: (offset, bytes of each, how many)."""

_U32, _U64 = Struct("<I"), Struct("<Q")


class Swapped:
    """Blocks of a big-endian file, little-endian as they are sliced. Implements `Raw`."""

    def __init__(self, raw: Raw, kind: str) -> None:
        self._raw, self._fields = raw, WIDE[kind]
        self._size = next(nbytes for name, _, nbytes in STORED.values() if name == kind)

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, run: slice) -> NDArray[np.uint8]:
        start, stop, _ = run.indices(len(self))
        assert start % self._size == 0, "slices are of whole blocks"
        part = self._raw[start:stop]
        blocks = part.reshape(-1, self._size)
        for offset, width, count in self._fields:
            field = blocks[:, offset : offset + width * count]
            field[:] = field.reshape(-1, count, width)[..., ::-1].reshape(len(blocks), -1)
        return part


def little_pair(cursor: Cursor, key: str) -> bytes:
    """A metadata pair of a big-endian file, read from behind its key, as a little-endian one has
    it. Raises CheckpointError."""
    kind = cursor.u32(f"the type of {key!r}")
    return _text(key) + _U32.pack(kind) + _value(cursor, kind, key)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _U64.pack(len(raw)) + raw


def _value(cursor: Cursor, kind: int, key: str, count: int = 1) -> bytes:
    """Some values of one type, one after another."""
    if kind in NUMBERS:
        dtype = np.dtype(NUMBERS[kind])
        start = cursor.take(count * dtype.itemsize, repr(key))
        data = np.frombuffer(cursor.buffer, dtype.newbyteorder(">"), count, start)
        return data.astype(dtype).tobytes()
    if kind == STRING:
        return b"".join(_text(cursor.text(repr(key))) for _ in range(count))
    if kind != ARRAY:
        cursor.refuse(f"{key!r} has the unknown value type {kind}")
    parts = []
    for _ in range(count):
        inner, length = cursor.u32(repr(key)), cursor.u64(repr(key))
        parts.append(_U32.pack(inner) + _U64.pack(length) + _value(cursor, inner, key, length))
    return b"".join(parts)

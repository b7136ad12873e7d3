"""The buffers that a program's kernels are bound to."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import PLAIN_UNIT_BYTES, UNIT, UNIT_BYTES

from .graph import TOKENS, Ref, Value

ALIGNMENT = 64


def aligned(count: int, kind: Any) -> Any:
    """An uninitialized array, aligned to a cache line, with padding for a register read at its
    end."""
    size = count * np.dtype(kind).itemsize
    raw = np.empty(size + 2 * ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(kind)


def address(array: Any) -> int:
    """Where an array's numbers begin; it must be contiguous, as all kernels read it so. One without
    memory, whose strides are all 0, stands for a matrix that is foreseen: nothing reads it."""
    assert array.flags.c_contiguous or not any(array.strides), (
        f"strides {array.strides} of {array.shape}"
    )
    return int(array.ctypes.data)


def rows_at(tensor: Tensor) -> int:
    """The same of a tensor."""
    assert tensor.is_contiguous() or not any(tensor.stride()), (
        f"strides {tensor.stride()} of {tuple(tensor.shape)}"
    )
    return tensor.data_ptr()


def integers(count: int) -> tuple[Any, memoryview[int]]:
    """Zeros (count) int64, and a memoryview of them, for writing a few numbers at a fraction of
    numpy's cost."""
    array: Any = np.zeros(count, np.int64)
    return array, memoryview(array).cast("B").cast("q")


class Buffers:
    """Buffers for steps of up to `tokens` tokens, with logits for up to `wanted` of them."""

    def __init__(self, numbers: dict[Value, int], tokens: int, wanted: int) -> None:
        self.tokens, self.wanted = tokens, wanted
        self._numbers = numbers
        self._arrays: dict[int, Any] = {}
        self._constants: dict[int, Any] = {}

    def rows(self, value: Value) -> int:
        return self.tokens if value.domain == TOKENS else self.wanted

    def place(self, ref: Ref) -> tuple[int, int]:
        """The address of a reference, and its row stride in bytes: 0 for a constant."""
        if ref.value is None:
            self._constants[id(ref.constant)] = ref.constant
            return address(ref.constant), 0
        stride = row_bytes(ref.value)
        return address(self.array(ref.value)) + 4 * ref.offset, stride

    def array(self, value: Value) -> Any:
        """A value's buffer."""
        number = self._numbers[value]
        if number not in self._arrays:
            # padded to complete tiles
            rows = self.rows(value) * value.times + value.spare
            rows += SET.tile if value.form in ("int8", "plain") else 0
            self._arrays[number] = aligned(rows * row_bytes(value), np.uint8)
        return self._arrays[number]

    def floats(self, value: Value) -> Any:
        """A value's buffer as an array (rows, width) float32, not a copy."""
        rows, stride = self.rows(value), row_bytes(value) // 4
        return self.array(value).view(np.float32).reshape(rows, stride)[:, : value.width]


class Rooms:
    """Scratch buffers for each of `threads` threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._rooms: dict[int, Any] = {}

    def room(self, each: int) -> int:
        """The address of `each` bytes per thread; requests of the same size share a buffer."""
        if each not in self._rooms:
            self._rooms[each] = aligned(each * self._threads, np.uint8)
        return address(self._rooms[each])


def row_bytes(value: Value) -> int:
    """The size of one vector of a value in bytes."""
    units = -(-value.width // UNIT)
    if value.form == "int8":
        return units * UNIT_BYTES
    if value.form == "plain":
        return units * PLAIN_UNIT_BYTES
    return units * UNIT * (2 if value.form == "bf16" else 4)

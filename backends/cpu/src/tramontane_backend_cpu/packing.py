"""Matrices of codes as the kernels read them: rows interleaved by 16, columns in units of 32.

In each bit plane, a block of 16 rows is a run of units, a unit a run of 64-byte registers; lane r
of a register holds four consecutive columns of row r in its four bytes, and the columns that share
a byte are a register's width apart: of a 4-bit plane's register j, the low halves are columns
8j..8j+3, the high halves 8j+4..8j+7. Scales and minima follow as 16 numbers per group; where both
are whole numbers below 16, they share bytes. A zero of each group is in a minimum's place. Rows are
padded to 16, columns to 32, with scales of zero. An order of columns stays apart: vectors are put
into it when they are converted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tramontane.layouts import PLANES, Affine, Codebook, Permuted

from .arena import Slabs
from .kernels.matmul import Packing
from .kernels.repack import repack_numbers, repack_plane
from .regular import has_groups, regular
from .step.pool import Pool
from .vector.float8 import FLOATS8
from .vector.tiles import ROWS, UNIT

KINDS = {
    torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
    torch.int8: "i8", torch.uint8: "u8", torch.float8_e8m0fnu: "e8m0",
    torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2",
}  # fmt: skip

NUMBERS = ("scale", "minimum", "super_scale", "super_minimum")
Packable = Affine | Codebook | Permuted
TABLE_BITS = 6
"""Of codes into tables that kernels look up, at most; those of 8 are floats of 8 bits."""
SHARED = ("low4", "high4")
"""Kinds of a scale and a minimum in one byte, which is in the arrays under both names."""


@dataclass(frozen=True)
class Packed:
    """A matrix, repacked. supers, steps: see `kernels/matmul.py`."""

    packing: Packing
    rows: int
    columns: int
    supers: int
    steps: int
    arrays: dict[str, Any]
    orders: Any = None
    """(parts, columns) int32, of as many equally large ranges of rows: where in a vector the number
    of each stored column is; None: where it is stored."""

    row_orders: Any = None
    """(parts, rows / parts) int32: which of a part's rows each stored one is, where they are in an
    order of their own (see `row_orders.py`)."""

    @property
    def order(self) -> Any:
        """The same of a matrix with no more than one: (columns) int32, or None."""
        assert self.orders is None or len(self.orders) == 1
        return None if self.orders is None else self.orders[0]

    @property
    def blocks(self) -> int:
        return -(-self.rows // ROWS)

    @property
    def units(self) -> int:
        return -(-self.columns // UNIT)

    @property
    def groups(self) -> int:
        """Groups of columns in a row, those that pad it included."""
        return self.supers * self.steps * (2 if self.packing.group == 16 else 1)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.distinct().values())

    def distinct(self) -> dict[str, Any]:
        """The arrays, each once."""
        shared = self.packing.minimum == SHARED[1]
        own = {k: array for k, array in self.arrays.items() if not (shared and k == "minimum")}
        return own if self.orders is None else {**own, "order": self.orders}

    def sliced(self, start: int, stop: int) -> Packed:
        """Rows start..stop, both multiples of 16 and of one order; nothing is copied."""

        def of(orders: Any) -> Any:
            if orders is None or len(orders) == 1:
                return orders
            each = self.rows // len(orders)
            return orders[start // each : -(-stop // each)]

        blocks = slice(start // ROWS, stop // ROWS)
        arrays = {name: array[blocks] for name, array in self.arrays.items()}
        return replace(
            self, rows=stop - start, arrays=arrays, orders=of(self.orders),
            row_orders=of(self.row_orders),
        )  # fmt: skip


@dataclass(frozen=True)
class Interleaved:
    """A packed matrix as a layout of the backend's own."""

    packed: Packed
    kind: str
    """That of the layout it was."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.packed.rows, self.packed.columns)

    def rows(self, index: torch.Tensor | slice) -> Any:
        """Some of the rows, from and up to multiples of 16; nothing is copied."""
        assert isinstance(index, slice)
        return Interleaved(self.packed.sliced(index.start, index.stop), self.kind)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array) for name, array in self.packed.distinct().items()}


@dataclass(frozen=True)
class Apart:
    """Several packed matrices one below the other, of so few rows each that one would end within
    another's block of 16."""

    matrices: tuple[Interleaved, ...]
    kind: str

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = self.matrices[0].shape
        return (len(self.matrices) * rows, columns)

    def rows(self, index: slice) -> Interleaved:
        """One of the matrices."""
        return self.matrices[int(index.start) // self.matrices[0].shape[0]]

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{number}.{name}": tensor
            for number, matrix in enumerate(self.matrices)
            for name, tensor in matrix.tensors().items()
        }


def values_of(weight: Affine | Codebook) -> str | None:
    """What its codes stand for, as `vector/tables.py` says it; None for what has no kernel."""
    if isinstance(weight, Affine):
        return ""
    if weight.bits <= TABLE_BITS:
        return repr(tuple(weight.table.tolist())) if weight.table.isfinite().all() else None
    for name, dtype in zip(FLOATS8, (torch.float8_e4m3fn, torch.float8_e5m2), strict=True):
        numbers = torch.arange(256, dtype=torch.uint8).view(dtype).float()
        if torch.equal(weight.table.nan_to_num(), numbers.nan_to_num()):
            return name
    return None


def can_pack(weight: Packable, parts: int = 1) -> bool:
    """Whether there is a kernel for it. parts: of how many matrices below each other it may have
    orders of columns."""
    if isinstance(weight, Permuted):
        return len(weight.order) in (1, parts) and can_pack(weight.layout)
    if not has_groups(weight) or values_of(weight) is None:
        return False
    numbers = [getattr(weight, name, None) for name in (*NUMBERS, "zero")]
    kinds = all(
        each.dtype in KINDS and each.device.type == "cpu"
        for each in numbers if isinstance(each, torch.Tensor)
    )  # fmt: skip
    return kinds and 0 not in weight.shape


def pack(whole: Packable, pool: Pool, slabs: Slabs | None = None) -> Packed:
    """Repack a matrix that `can_pack`, on the pool's threads. slabs: where, if not in some of its
    own."""
    if isinstance(whole, Permuted):
        orders = np.ascontiguousarray(whole.order.int().numpy())
        return replace(pack(whole.layout, pool, slabs), orders=orders)
    weight: Any = regular(whole)
    rows, columns = whole.shape
    blocks, units = -(-rows // ROWS), -(-columns // UNIT)
    halves = weight.group == 16
    per_row = 2 * units if halves else -(-columns // weight.group)
    supers = 1 if weight.super_scale is None else weight.super_scale.shape[1]
    arrays: dict[str, Any] = {}
    slabs = slabs or Slabs(sum(tensor.nbytes for tensor in weight.tensors().values()))
    work: list[tuple[int, Any]] = []
    alive = []
    numbers, (scale, least) = _numbers(weight)
    for name, plane, width in zip(("low", "high"), weight.codes, PLANES[weight.bits], strict=False):
        source = plane.contiguous()
        alive.append(source)
        out = arrays[name] = slabs.take((blocks, units * 4 * ROWS * width), np.uint8)
        fields = (source.data_ptr(), rows, source.shape[1], width, units, out.ctypes.data)
        work.append((repack_plane.address, np.array(fields, np.int64)))
    for name, value in numbers.items():
        if name == "minimum" and least == SHARED[1]:
            arrays[name] = arrays["scale"]
        elif value is not None:
            source = value.contiguous()
            alive.append(source)
            padded = supers if name.startswith("super") else per_row
            size = source.element_size()
            out = arrays[name] = slabs.take((blocks, padded, ROWS), f"u{size}")
            fields = (source.data_ptr(), rows, source.shape[1], padded, size, out.ctypes.data)
            work.append((repack_numbers.address, np.array(fields, np.int64)))
    pool.run_jobs([(kernel, fields, blocks) for kernel, fields in work])
    above = "" if weight.super_scale is None else KINDS[weight.super_scale.dtype]
    values, zero = values_of(weight), getattr(weight, "zero", 0)
    assert values is not None
    zeros = isinstance(zero, torch.Tensor)
    packing = Packing(
        weight.bits, weight.group, 0 if zeros else zero, scale, least, above, values, zeros
    )
    steps = per_row // supers // (2 if halves else 1)
    return Packed(packing, rows, columns, supers, steps, arrays)


def _numbers(weight: Affine | Codebook) -> tuple[dict[str, Any], tuple[str, str]]:
    """Its scales and minima by name, and the kinds of the first two; those that share bytes are in
    the scale's place."""
    numbers = {name: getattr(weight, name, None) for name in NUMBERS}
    if isinstance(zero := getattr(weight, "zero", None), torch.Tensor):
        return numbers | {"minimum": zero}, (KINDS[weight.scale.dtype], KINDS[zero.dtype])
    scale, minimum = weight.scale, numbers["minimum"]
    if minimum is None:
        return numbers, (KINDS[scale.dtype], "")
    if (
        scale.dtype == minimum.dtype == torch.uint8 and scale.shape == minimum.shape
        and scale.numel() and int(scale.max()) < 16 and int(minimum.max()) < 16
    ):  # fmt: skip
        numbers["scale"] = scale | minimum << 4
        return numbers, SHARED
    return numbers, (KINDS[scale.dtype], KINDS[minimum.dtype])

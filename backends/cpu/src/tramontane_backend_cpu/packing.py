"""Affine matrices as the kernels read them: rows interleaved by 16, columns in units of 32.

In each bit plane, a block of 16 rows is a run of units, a unit a run of 64-byte registers; lane r
of a register holds four consecutive columns of row r in its four bytes, and the columns that share
a byte are a register's width apart: of a 4-bit plane's register j, the low halves are columns
8j..8j+3, the high halves 8j+4..8j+7. Scales and minima follow as 16 numbers per group; where both
are whole numbers below 16, as in Q2_K, they share bytes. Rows are padded to 16, columns to 32, with
scales of zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tramontane.layouts import PLANES, Affine, Codebook

from .arena import Slabs
from .kernels.matmul import Packing
from .kernels.repack import repack_numbers, repack_plane
from .step.pool import Pool
from .vector.tables import FLOATS8
from .vector.tiles import ROWS, UNIT

KINDS = {
    torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
    torch.int8: "i8", torch.uint8: "u8", torch.float8_e8m0fnu: "e8m0",
}  # fmt: skip

NUMBERS = ("scale", "minimum", "super_scale", "super_minimum")
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
        return {k: array for k, array in self.arrays.items() if not (shared and k == "minimum")}


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
        blocks = slice(index.start // ROWS, index.stop // ROWS)
        arrays = {name: array[blocks] for name, array in self.packed.arrays.items()}
        count = index.stop - index.start
        return Interleaved(replace(self.packed, rows=count, arrays=arrays), self.kind)

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
    if weight.bits == 4 and weight.table.isfinite().all():
        return repr(tuple(weight.table.tolist()))
    for name, dtype in zip(FLOATS8, (torch.float8_e4m3fn, torch.float8_e5m2), strict=True):
        numbers = torch.arange(256, dtype=torch.uint8).view(dtype).float()
        if torch.equal(weight.table.nan_to_num(), numbers.nan_to_num()):
            return name
    return None


def can_pack(weight: Affine | Codebook) -> bool:
    """Whether there is a kernel for it: groups of 16 or whole units."""
    if values_of(weight) is None or isinstance(getattr(weight, "zero", 0), torch.Tensor):
        return False
    if getattr(weight, "factor", 1) != 1 or getattr(weight, "super_divides", False):
        return False
    numbers = (getattr(weight, name, None) for name in NUMBERS)
    kinds = all(tensor is None or tensor.dtype in KINDS for tensor in numbers)
    on_cpu = weight.scale.device.type == "cpu"
    two_level = weight.super_scale is not None
    return (
        kinds and on_cpu and (weight.group == 16 or weight.group % UNIT == 0)
        and not (two_level and weight.shape[1] % UNIT)
        and (isinstance(weight, Codebook) or weight.minimum is None
             or (weight.super_minimum is not None) == two_level)
    )  # fmt: skip


def pack(weight: Affine | Codebook, pool: Pool, slabs: Slabs | None = None) -> Packed:
    """Repack a matrix that `can_pack`, on the pool's threads. slabs: where, if not in some of its
    own."""
    rows, columns = weight.shape
    blocks, units = -(-rows // ROWS), -(-columns // UNIT)
    halves = weight.group == 16
    per_row = 2 * units if halves else columns // weight.group
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
    assert isinstance(zero, int)
    packing = Packing(weight.bits, weight.group, zero, scale, least, above, values)
    return Packed(packing, rows, columns, supers, per_row // supers // (2 if halves else 1), arrays)


def _numbers(weight: Affine | Codebook) -> tuple[dict[str, Any], tuple[str, str]]:
    """Its scales and minima by name, and the kinds of the first two; those that share bytes are in
    the scale's place."""
    numbers = {name: getattr(weight, name, None) for name in NUMBERS}
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

"""Repack matrices from a file's blocks to the order of `packing.py`, many in one run of the pool.

The GIL is released meanwhile, for example for reading the vocabulary.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from tramontane.block_format import Bytes, Half, Plain, Recipe, Stored
from tramontane.layouts import PLANES, Dense, Layout, affine_kind, codebook_kind

from .arena import NoMemory, Slabs
from .kernels.matmul import Packing
from .kernels.read import FIELDS, PLAIN_FIELDS, read_and_translate, read_plain
from .kernels.translate import FIELDS as TRANSLATE_FIELDS
from .kernels.translate import TARGETS
from .numba_setup import Kernel
from .packing import SHARED, Interleaved, Packed
from .recipe_plan import shares_bytes, translator_of
from .step.pool import Pool
from .vector.tiles import ROWS, UNIT

CACHEFUL = 256 << 10
"""Bytes that are read at a time, so that they are still in the CPU cache when repacked."""


@dataclass(frozen=True)
class Work:
    """A matrix to be repacked. failed: (whether the file ended too early, number of infinite or NaN
    scales). kept: arrays that the kernel's arguments point to."""

    layout: Any
    kernel: int
    arguments: Any
    jobs: int
    failed: Any
    kept: tuple[Any, ...]


def translated(matrices: Sequence[Stored], pool: Pool) -> list[Layout | None]:
    """Repack matrices for the kernels; None for one without a kernel, or with damaged data, which
    the format's own conversion reports."""
    slabs = Slabs(sum(stored.shape[0] * stored.row_bytes for stored in matrices))
    work = [_work(stored, slabs, pool.threads) for stored in matrices]
    slabs.close()
    todo = [each for each in work if each is not None]
    if todo:
        pool.run_jobs([(each.kernel, each.arguments, each.jobs) for each in todo])
    return [None if each is None or each.failed.any() else each.layout for each in work]


def kernels_for(stored: Stored) -> list[Kernel]:
    """Kernels that `translated` runs for a matrix; empty if it does not support it."""
    if not _can(stored):
        return []
    if isinstance(stored.recipe, Plain):
        return [read_plain]
    return [read_and_translate, translator_of(stored.recipe)]


def foreseen(stored: Stored) -> Layout | None:
    """The layout that a matrix will have, with placeholder data; None if there is no kernel."""
    rows, columns = stored.shape
    if isinstance(stored.recipe, Plain):
        return Dense(torch.zeros(1, dtype=stored.recipe.dtype).expand(rows, columns))
    if 0 in stored.shape or not _is_aligned(stored, stored.recipe):
        return None
    blocks, in_row = -(-rows // ROWS), columns // stored.recipe.count
    arrays = _arrays(stored.recipe, NoMemory(), blocks, in_row)
    layout: Any = _interleaved(stored.recipe, rows, columns, arrays)
    return layout  # type: ignore[no-any-return]


def _can(stored: Stored) -> bool:
    if stored.file is None or _read_address() == 0 or 0 in stored.shape:
        return False
    if isinstance(stored.recipe, Plain):
        return stored.order is None
    return _is_aligned(stored, stored.recipe)


def _is_aligned(stored: Stored, recipe: Recipe) -> bool:
    """Whether rows are multiples of the format's blocks, and blocks and groups of units."""
    aligned = stored.shape[1] % recipe.count == 0 and recipe.count % UNIT == 0
    return aligned and (recipe.group == 16 or recipe.group % UNIT == 0)


def _work(stored: Stored, slabs: Slabs, threads: int) -> Work | None:
    if not _can(stored):
        return None
    if isinstance(stored.recipe, Plain):
        return _plain(stored, slabs, _read_address())
    return _packed(stored, stored.recipe, slabs, _read_address(), threads)


def _plain(stored: Stored, slabs: Slabs, read: int) -> Work:
    """An unquantized matrix: a copy in huge pages, read without mapping the file."""
    assert isinstance(stored.recipe, Plain)
    assert stored.file is not None
    rows, columns = stored.shape
    size = rows * columns * stored.recipe.size
    out, failed = slabs.take((size,), np.uint8), np.zeros(1, np.int64)
    fields = _arguments(
        PLAIN_FIELDS, read=read, file=stored.file[0], offset=stored.file[1], out=out.ctypes.data,
        size=size, run=CACHEFUL, short=failed.ctypes.data,
    )  # fmt: skip
    layout = Dense(torch.from_numpy(out).view(stored.recipe.dtype).view(rows, columns))
    return Work(layout, read_plain.address, fields, -(-size // CACHEFUL), failed, ())


def _packed(stored: Stored, recipe: Recipe, slabs: Slabs, read: int, threads: int) -> Work:
    assert stored.file is not None
    (rows, columns), size = stored.shape, stored.row_bytes
    blocks, in_row = -(-rows // ROWS), columns // recipe.count
    arrays = _arrays(recipe, slabs, blocks, in_row)
    if rows % ROWS:
        for array in arrays.values():
            array[-1] = 0
    failed = np.zeros(2, np.int64)
    at_once = max(1, CACHEFUL // (ROWS * size))
    order = np.arange(rows) if stored.order is None else stored.order.numpy()
    starts = np.arange(0, rows, at_once * ROWS)
    lowest, highest = np.minimum.reduceat(order, starts), np.maximum.reduceat(order, starts) + 1
    widest = int((highest - lowest).max()) * size
    buffers = np.empty((threads, widest), np.uint8)
    sources = np.empty((threads, at_once * ROWS), np.int64)
    tables = np.frombuffer(b"".join(recipe.tables), np.uint8)
    inner = _arguments(
        TRANSLATE_FIELDS, sources=0, rows=rows, count=in_row, size=recipe.size,
        damaged=failed[1:].ctypes.data, tables=tables.ctypes.data if recipe.tables else 0,
        **{name: arrays[name].ctypes.data if name in arrays else 0 for name in TARGETS},
    )  # fmt: skip
    each = np.tile(inner, (threads, 1))
    fields = _arguments(
        FIELDS, translator=translator_of(recipe).address, arguments=each.ctypes.data, read=read,
        file=stored.file[0], offset=stored.file[1], buffers=buffers.ctypes.data,
        buffer_bytes=widest, row_bytes=size, rows=rows, blocks=blocks, at_once=at_once,
        order=order.ctypes.data, lowest=lowest.ctypes.data, highest=highest.ctypes.data,
        sources=sources.ctypes.data, short=failed.ctypes.data,
    )  # fmt: skip
    kept = (order, lowest, highest, buffers, sources, each, tables)
    layout = _interleaved(recipe, rows, columns, arrays)
    return Work(layout, read_and_translate.address, fields, len(starts), failed, kept)


def _interleaved(recipe: Recipe, rows: int, columns: int, arrays: dict[str, Any]) -> Interleaved:
    two_level, minimum = recipe.super_scale is not None, recipe.minimum
    kinds = _kind(recipe.scale), "" if minimum is None else _kind(minimum)
    packing = Packing(
        recipe.bits, recipe.group, recipe.zero, *(SHARED if shares_bytes(recipe) else kinds),
        "f16" if two_level else "", repr(recipe.numbers) if recipe.numbers else "",
    )  # fmt: skip
    supers = columns // recipe.count if two_level else 1
    steps = columns // supers // max(UNIT, recipe.group)
    if recipe.numbers:
        kind = codebook_kind(recipe.bits, recipe.group, two_level=two_level)
    else:
        kind = affine_kind(
            recipe.bits, recipe.group, recipe.zero, two_level=two_level, minimum=minimum is not None
        )
    return Interleaved(Packed(packing, rows, columns, supers, steps, arrays), kind)


def _arrays(recipe: Recipe, slabs: Slabs | NoMemory, blocks: int, in_row: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, width in zip(("low", "high"), PLANES[recipe.bits], strict=False):
        size = in_row * recipe.count // UNIT * 4 * ROWS * width
        arrays[name] = slabs.take((blocks, size), np.uint8)
    for name in TARGETS[2:]:
        value = getattr(recipe, name)
        if name == "minimum" and shares_bytes(recipe):
            arrays[name] = arrays["scale"]
        elif value is not None:
            groups = 1 if name.startswith("super") else recipe.count // recipe.group
            kind = np.uint16 if isinstance(value, Half) else np.uint8
            arrays[name] = slabs.take((blocks, in_row * groups, ROWS), kind)
    return arrays


def _kind(value: Half | Bytes) -> str:
    if isinstance(value, Half):
        return "f16"
    return "i8" if value.signed else "u8"


def _arguments(fields: tuple[str, ...], **values: int) -> Any:
    return np.array([values[name] for name in fields], np.int64)


@cache
def _read_address() -> int:
    """The address of the C library's `pread`; 0 if there is none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).pread, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):  # Windows has no such call
        return 0

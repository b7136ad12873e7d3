"""Matrices from a file's blocks to `packing.py`'s order, read a cacheful at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from tramontane.layouts import PLANES, affine_kind
from tramontane.stored import Bytes, Half, Recipe, Stored

from .kernels.matmul import Packing
from .kernels.translate import FIELDS, TARGETS, translator
from .packing import Interleaved, Packed
from .vector.tiles import ROWS, UNIT

CACHEFUL = 256 << 10
"""Bytes that are read at a time: what was read is still in the cache when it is translated."""


def can_translate(stored: Stored) -> bool:
    """Whether its rows are whole blocks of whole units, and there is a kernel for its groups."""
    recipe = stored.recipe
    return (
        isinstance(recipe, Recipe)
        and stored.shape[1] % recipe.count == 0
        and recipe.count % UNIT == 0
        and (recipe.group == 16 or recipe.group % UNIT == 0)
    )


def interleaved(stored: Stored) -> Interleaved | None:
    """A matrix that `can_translate`; None where scales are infinite or not numbers."""
    recipe, (rows, columns) = stored.recipe, stored.shape
    assert isinstance(recipe, Recipe)
    blocks, in_row = -(-rows // ROWS), columns // recipe.count
    arrays = _arrays(recipe, blocks, in_row)
    if rows % ROWS:
        for array in arrays.values():
            array[-1] = 0
    damaged = np.zeros(1, np.int64)
    kernel = translator(recipe)
    at_once = max(1, CACHEFUL // (ROWS * stored.row_bytes))
    if stored.order is not None:
        at_once = blocks
    for first in range(0, blocks, at_once):
        last = min(blocks, first + at_once)
        sources, held = _sources(stored, first * ROWS, min(rows, last * ROWS))
        places = {name: arrays[name][first:].ctypes.data for name in arrays}
        values = {
            "sources": sources.ctypes.data, "rows": len(sources), "count": in_row,
            "size": recipe.size, "damaged": damaged.ctypes.data,
            **{name: places.get(name, 0) for name in TARGETS},
        }  # fmt: skip
        told = np.array([values[name] for name in FIELDS], np.int64)
        kernel.ctypes(told.ctypes.data, 0, last - first)
        del held
    if damaged[0]:
        return None
    two_level, minimum = recipe.super_scale is not None, recipe.minimum
    packing = Packing(
        recipe.bits, recipe.group, recipe.zero, _kind(recipe.scale),
        "" if minimum is None else _kind(minimum), "f16" if two_level else "",
    )  # fmt: skip
    supers = in_row if two_level else 1
    steps = columns // supers // max(UNIT, recipe.group)
    kind = affine_kind(
        recipe.bits, recipe.group, recipe.zero, two_level=two_level, minimum=minimum is not None
    )
    return Interleaved(Packed(packing, rows, columns, supers, steps, arrays), kind)


def _arrays(recipe: Recipe, blocks: int, in_row: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, width in zip(("low", "high"), PLANES[recipe.bits], strict=False):
        size = in_row * recipe.count // UNIT * 4 * ROWS * width
        arrays[name] = np.empty((blocks, size), np.uint8)
    for name in TARGETS[2:]:
        value = getattr(recipe, name)
        if value is not None:
            groups = 1 if name.startswith("super") else recipe.count // recipe.group
            kind = np.uint16 if isinstance(value, Half) else np.uint8
            arrays[name] = np.empty((blocks, in_row * groups, ROWS), kind)
    return arrays


def _sources(stored: Stored, first: int, last: int) -> tuple[Any, Any]:
    """Addresses of rows first..last, and what keeps them valid."""
    size = stored.row_bytes
    if stored.order is None:
        held = stored.raw[first * size : last * size]
        return held.ctypes.data + size * np.arange(last - first), held
    order = stored.order.numpy()
    lowest = int(order.min())
    held = stored.raw[lowest * size : (int(order.max()) + 1) * size]
    return held.ctypes.data + size * (order - lowest), held


def _kind(value: Half | Bytes) -> str:
    if isinstance(value, Half):
        return "f16"
    return "i8" if value.signed else "u8"

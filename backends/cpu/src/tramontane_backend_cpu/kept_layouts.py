"""Repacked matrices as a file describes them, so that the next start maps them.

A description has the numbers of arrays, and of everything
else only what JSON has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, fields
from typing import Any

import numpy as np
import torch
from tramontane.layouts import Layout

from .kernels.matmul import Packing
from .object_cache import folder
from .packing import Apart, Interleaved, Packed
from .row_groups import Grouped
from .vector.tiles import ROWS

Put = Callable[[Any], int]
Get = Callable[[int], Any]
GROUPED = ("firsts", "rows_at", "places", "scale", "zero", "group_of")


class KeptLayouts:
    """Implements `Keep`; has no state."""

    @staticmethod
    def order() -> str:
        """The folder of kernels is named after all that they depend on, and they read the
        arrays."""
        return folder().name

    @staticmethod
    def describe(layout: Any, put: Put) -> Any:
        """See `Keep`."""
        if isinstance(layout, Interleaved):
            return {"kind": layout.kind, "interleaved": _packed(layout.packed, put)}
        if isinstance(layout, Apart):
            parts = [_packed(each.packed, put) for each in layout.matrices]
            return {"kind": layout.kind, "apart": parts}
        if isinstance(layout, Grouped):
            told = {name: _array(getattr(layout, name), put) for name in GROUPED}
            return {"kind": layout.kind, "grouped": _packed(layout.packed, put), **told}
        return None

    @staticmethod
    def restore(told: Any, get: Get) -> Layout:
        """See `Keep`."""
        kind = told["kind"]
        if not isinstance(kind, str):
            raise TypeError(f"the kind {kind!r}")
        layout: Any
        if "interleaved" in told:
            layout = Interleaved(_unpacked(told["interleaved"], get), kind)
        elif "apart" in told:
            parts = (Interleaved(_unpacked(each, get), kind) for each in told["apart"])
            layout = Apart(tuple(parts), kind)
        else:
            named = {name: _restored(told[name], get) for name in GROUPED}
            layout = Grouped(packed=_unpacked(told["grouped"], get), kind=kind, **named)
        return layout  # type: ignore[no-any-return]


def _packed(packed: Packed, put: Put) -> dict[str, Any]:
    orders = [
        None if each is None else put(np.ascontiguousarray(each))
        for each in (packed.orders, packed.row_orders)
    ]
    return {
        "packing": list(astuple(packed.packing)),
        "size": [packed.rows, packed.columns, packed.supers, packed.steps],
        "arrays": {name: put(array) for name, array in packed.arrays.items()},
        "orders": orders,
    }


def _unpacked(told: Any, get: Get) -> Packed:
    packing = told["packing"]
    if len(packing) != len(fields(Packing)):
        raise ValueError(f"{len(packing)} properties of a packing")
    if not all(isinstance(each, int) for each in told["size"]):
        raise TypeError(f"a size {told['size']!r}")
    rows, columns, supers, steps = told["size"]
    arrays = {str(name): get(number) for name, number in told["arrays"].items()}
    if any(len(array) != -(-rows // ROWS) for array in arrays.values()):
        raise ValueError("arrays of other blocks of rows than the matrix's")
    orders, row_orders = (None if each is None else get(each) for each in told["orders"])
    return Packed(Packing(*packing), rows, columns, supers, steps, arrays, orders, row_orders)


def _array(value: Any, put: Put) -> list[Any]:
    """An array or a tensor: its number, and the dtype of the tensor, which numpy may lack."""
    if not isinstance(value, torch.Tensor):
        return [put(value), None]
    raw = value.contiguous().view(torch.uint8) if value.dtype == torch.bfloat16 else value
    return [put(raw.numpy()), str(value.dtype).removeprefix("torch.")]


def _restored(told: Any, get: Get) -> Any:
    number, name = told
    if name is None:
        return get(number)
    tensor = torch.from_numpy(get(number))
    return tensor.view(torch.bfloat16) if name == "bfloat16" else tensor

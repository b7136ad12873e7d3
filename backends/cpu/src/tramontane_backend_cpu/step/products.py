"""Products of matrices with vectors: which kernels do them, and what these are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tramontane.layouts import Dense, Layout
from tramontane.native_product import NativeProduct

from tramontane_backend_cpu.kernels import dense, matmul, native_product, quantize, row_groups
from tramontane_backend_cpu.packing import KINDS, Interleaved, Packed
from tramontane_backend_cpu.row_groups import Grouped
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import (
    PLAIN_UNIT_BYTES,
    ROWS,
    UNIT,
    UNIT_BYTES,
    planes_bytes,
)

from .memory import address, rows_at

CACHE_SHARE = 384 << 10
"""Bytes of vectors that matrices work on at a time: they stay in a core's second-level cache."""


STRETCH = 64
"""Units of a row that vectors are multiplied with at a time, about: a block's codes stay in the
first-level cache."""


PANEL = 256 << 10
"""Bytes of weights per job, about."""


LEAST_JOBS = 24
"""Jobs that a matrix is cut into if it has rows enough, so that threads end together."""


@dataclass(frozen=True)
class Operation:
    """A kernel's address and arguments. counted: which of the step's counts multiplies `jobs`, or
    -1."""

    kernel: int
    arguments: Any
    counted: int = -1
    jobs: int = 0
    kept: Any = None
    """What must live as long."""


def arguments(fields: tuple[str, ...], **values: int) -> Any:
    """A kernel's arguments in the order of its fields."""
    assert set(values) == set(fields), set(values) ^ set(fields)
    return np.array([values[name] for name in fields], np.int64)


def conversion(order: Any, plain: bool, **places: int) -> Operation:
    """Vectors on their way into a packed matrix. order: of its columns, see `Packed`. places: other
    fields of `kernels/quantize.py`."""
    told = {**places, "tile": SET.tile, "begin": 0}
    if order is None:
        return Operation(
            quantize.quantizer(plain, False).address, arguments(quantize.FIELDS, **told)
        )
    told["order"] = order_at(order)
    kernel = quantize.quantizer(plain, True)
    return Operation(kernel.address, arguments(quantize.ORDERED_FIELDS, **told), kept=order)


def order_at(order: Any) -> int:
    """Address of an order of columns, which must live as long; 0 for none."""
    return 0 if order is None else address(order)


def dense_operation(
    weight: Dense,
    x_stride: int,
    rounded: bool,
    shared: dict[str, int],
    panel: int | None = None,
) -> Operation:
    """A plain matrix times vectors. rounded: whether they are bfloat16. panel: rows per job."""
    kind = KINDS[weight.data.dtype]
    across, deep = SET.dense_tile
    n_rows, columns = weight.shape
    weight_stride = columns * weight.data.element_size()
    if panel is None:
        panel = panel_of(n_rows, weight_stride, across)
    at_once = min(columns, dense.DEPTH) * x_stride // columns
    told = arguments(
        dense.FIELDS, rows=n_rows, panel=panel, columns=columns, weight=rows_at(weight.data),
        weight_stride=weight_stride, input_stride=x_stride,
        vectors_at_once=max(1, CACHE_SHARE // at_once // deep) * deep, **shared,
    )  # fmt: skip
    kernel = dense.dense_kernel("bf16.bf16" if rounded else kind)
    return Operation(kernel.address, told, -1, -(-n_rows // panel))


def native_operation(
    product: NativeProduct,
    weight: Layout,
    x_stride: int,
    most: int,
    shared: dict[str, int],
    room: Callable[[int], int],
) -> Operation:
    """A product of a backend that stands on this one, with vectors `x_stride` bytes apart, of which
    there are no more than `most`. room: as in `affine_operation`."""
    rows, panel = weight.shape[0], product.panel
    own: Operation | None = None
    if product.fewest > 1:
        assert isinstance(weight, Dense)
        own = dense_operation(weight, x_stride, product.form == "bf16", shared, panel)
    apart = shared["bias"] != 0 or shared["add"] != 0
    scratch = 4 * most * panel if apart else 0
    told = arguments(
        native_product.FIELDS, rows=rows, panel=panel, input_stride=x_stride,
        function=product.address, state=product.state, fewest=product.fewest,
        own=0 if own is None else own.kernel, given=0 if own is None else address(own.arguments),
        scratch=room(scratch) if scratch else 0, scratch_bytes=scratch, **shared,
    )  # fmt: skip
    kept = (product, own)
    return Operation(native_product.multiply.address, told, -1, -(-rows // panel), kept)


def affine_operation(
    weight: Interleaved,
    exact: bool,
    shared: dict[str, int],
    room: Callable[[int], int],
    panel: int | None = None,
) -> Operation:
    """A packed matrix times vectors. shared: what does not come from the matrix. room: (bytes) ->
    address of so many for each thread. panel: blocks of rows per job."""
    packed = weight.packed
    unit = PLAIN_UNIT_BYTES if exact else UNIT_BYTES
    if panel is None:
        panel = panel_of(packed.blocks, packed.nbytes // packed.blocks, 1)
    stretch = stretch_of(packed)
    at_once = max(1, CACHE_SHARE // (SET.tile * stretch * unit))
    partial = 4 * ROWS * panel * at_once * SET.tile if stretch < packed.units else 0
    told = arguments(
        matmul.FIELDS, blocks=packed.blocks, panel=panel, units=packed.units, tile=SET.tile,
        tile_unit_bytes=unit, tiles_at_once=at_once, stretch=stretch,
        partials=room(partial) if partial else 0, partial_bytes=partial,
        single=matmul.affine_kernel(packed.packing, 1, exact).address,
        whole=matmul.affine_kernel(packed.packing, SET.tile, exact).address,
        columns_rows=packed.rows, supers=packed.supers, steps=packed.steps, **packed_arrays(packed),
        **shared,
    )  # fmt: skip
    return Operation(matmul.matmul.address, told, -1, -(-packed.blocks // panel))


def grouped_operation(
    weight: Grouped,
    x_stride: int,
    exact: bool,
    shared: dict[str, int],
    room: Callable[[int], int],
) -> Operation:
    """A matrix of groups of rows times vectors of float32, `x_stride` bytes apart."""
    packed, groups = weight.packed, len(weight.firsts) - 1
    unit = PLAIN_UNIT_BYTES if exact else UNIT_BYTES
    at_once = max(1, CACHE_SHARE // (SET.tile * packed.units * unit)) * SET.tile
    most = int(np.diff(weight.firsts).max())
    scratch = row_groups.scratch_bytes(packed.units, unit, at_once, most)
    taken = {**shared, "out": 0, "stride": 0, "input": 0, "bias": 0, "add": 0}
    whole: Any = Interleaved(packed, weight.kind)
    model = affine_operation(whole, exact, taken, room).arguments
    single, all_ = (int(model[matmul.FIELDS.index(name)]) for name in ("single", "whole"))
    told = arguments(
        row_groups.FIELDS, input_stride=x_stride, columns=weight.shape[1], units=packed.units,
        tile=SET.tile, at_once=at_once, scale=rows_at(weight.scale), zero=rows_at(weight.zero),
        firsts=address(weight.firsts), rows_at=address(weight.rows_at), single=single, whole=all_,
        codes=address(packed.arrays["low"]), codes_bytes=planes_bytes(packed.packing.bits)[0],
        model=address(model), scratch=room(scratch), scratch_bytes=scratch, **shared,
    )  # fmt: skip
    kinds = KINDS[weight.scale.dtype], KINDS[weight.zero.dtype]
    kernel = row_groups.row_groups(*kinds, exact)
    return Operation(kernel.address, told, -1, groups, kept=model)


def stretch_of(packed: Packed) -> int:
    """Units of a row that many vectors are multiplied with at a time: whole groups, or whole groups
    of groups where scales have scales."""
    whole = max(1, packed.packing.group // UNIT)
    if packed.packing.above:
        whole = packed.units // packed.supers
    return min(packed.units, max(whole, STRETCH // whole * whole))


def panel_of(count: int, size: int, step: int) -> int:
    """Rows, or blocks of rows, per job: `count` of `size` bytes, in multiples of `step`."""
    most = max(1, min(PANEL // max(size, 1), count // LEAST_JOBS))
    return max(step, most // step * step)


def packed_arrays(packed: Any) -> dict[str, int]:
    names = ("low", "high", "scale", "minimum", "super_scale", "super_minimum")
    return {name: address(packed.arrays[name]) if name in packed.arrays else 0 for name in names}

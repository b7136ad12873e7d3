"""The products of a library, for a backend that stands on this one."""

from __future__ import annotations

import logging
from typing import Any

from tramontane.layouts import Dense, Layout
from tramontane.native_product import NativeProduct

from tramontane_backend_cpu.packing import KINDS
from tramontane_backend_cpu.step.lower import PLAIN
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.threads import usable

from .library import Library
from .measure import measured
from .panels import panels
from .products import direct_product, followed_product
from .table import Choice, Table

log = logging.getLogger(__name__)
LEAST = 64
"""Rows and columns of a matrix that a library is asked to multiply."""


def product(
    library: Library, weight: Layout, form: str, threads: int | None, *, prompts: bool
) -> NativeProduct | None:
    """A library's product with a matrix, where it gains; measured where that is not known yet.

    prompts: whether batches may have other bits than single vectors have; otherwise a library is
    used as far as its sums are those of this backend's few vectors, bit for bit.
    """
    if not isinstance(weight, Dense) or weight.data.dtype not in PLAIN:
        return None
    if min(weight.shape) < LEAST:
        return None
    count = threads or usable()
    choice = chosen(library, weight, form, count, prompts=prompts)
    if not choice.library_from:
        return None
    name = f"{library.name}, {choice.library_from} rows and more"
    if prompts:
        return direct_product(library, weight, form, choice.library_from, count, name).native
    made = panels(weight.data)
    return followed_product(
        library, made, choice.cuts, choice.library_from, count, f"{name}, same bits"
    ).native


def chosen(library: Library, weight: Dense, form: str, threads: int, *, prompts: bool) -> Choice:
    """By the table, or measured and put into it."""
    table: Any = Table(library, threads)
    rows, columns = weight.shape
    mode = "prompts" if prompts else "same bits"
    shape = f"{KINDS[weight.data.dtype]} by {form}, {rows} x {columns}, {mode}"
    choice: Choice | None = table.get(shape)
    if choice is None or (choice.library_from and not prompts and choice.cuts[-1:] != (columns,)):
        log.info("%s: measuring products of %s, once on this machine", library.name, shape)
        pool = shared_pool(threads)
        choice = measured(library, weight, form, pool, prompts=prompts)
        table.put(shape, choice)
        log.info("%s: %s: %s", library.name, shape, choice.why or f"from {choice.library_from} on")
    return choice

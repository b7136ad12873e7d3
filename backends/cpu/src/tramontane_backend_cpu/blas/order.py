"""The order in which a library adds up products, found out and checked on this machine.

Most kernels of BLAS libraries add the products of a stretch of columns one after the other to a
sum that begins with zero, then that sum to the result. Where the stretches begin is found with
numbers that show it: 2^24 + 1 + 1 is 2^24 in float32, if the ones are added one after the other,
and 2^24 + 2, if they come from a stretch of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tramontane_backend_cpu.kernels.blas import AT_ONCE, PANEL, UNIT

from .library import Library
from .panels import Panels, panels
from .products import Product, followed_product

BIG = float(1 << 24)
WINDOW = 16
"""Columns that are looked at together, before each of those where a sum begins within."""
CHECKED = range(UNIT, AT_ONCE + 1, UNIT)
"""Numbers of vectors that the library is given."""
NEVER = 1 << 30


def cuts_of(library: Library, columns: int) -> list[int] | None:
    """The columns where sums begin, and `columns` behind them; None where the library adds in some
    other way."""
    ones = panels(torch.ones(PANEL, columns))
    product = followed_product(library, ones, (0, columns), library_from=UNIT)

    def sums(places: Sequence[int], count: int) -> Any:
        """Of rows with BIG before a place, and `count` ones from there on."""
        found = []
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            x = torch.zeros(-(-len(some) // UNIT) * UNIT, columns)
            for row, place in enumerate(some):
                x[row, place - 1], x[row, place : place + count] = BIG, 1.0
            found.append(run(product, x, PANEL)[: len(some), 0])
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    windows = range(1, columns - 1, WINDOW - 1)
    told = sums(windows, WINDOW)
    if not ((told >= BIG) & (told <= BIG + WINDOW)).all():
        return None
    within = [
        place
        for window, value in zip(windows, told, strict=True)
        if value != BIG
        for place in range(window, min(window + WINDOW - 1, columns - 1))
    ]
    found = [place for place, value in zip(within, sums(within, 2), strict=True) if value != BIG]
    return [0, *found, columns]


def equal_from(library: Library, weight: Panels, cuts: Sequence[int]) -> int:
    """The number of vectors, of those that the library is given, from which on it gives the bits
    that few have; 0: none. weight: a panel or two of a matrix, the last of as many rows as the
    matrix's, so that each size that the library meets is looked at."""
    own = followed_product(library, weight, cuts, library_from=NEVER)
    its = followed_product(library, weight, cuts, library_from=UNIT)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(AT_ONCE, weight.shape[1], generator=random)
    x[:, ::7] *= 100.0  # sums that lose something at each step
    expected = run(own, x, weight.shape[0])
    last = 0
    for count in reversed(CHECKED):
        first = (AT_ONCE - count) // 2
        rows = x[first : first + count].contiguous()
        if not np.array_equal(run(its, rows, weight.shape[0]), expected[first : first + count]):
            break
        last = count
    return last


def run(product: Product, x: Tensor, rows: int) -> Any:
    """All of a matrix's `rows`, on this thread: (vectors, rows) float32."""
    out = np.zeros((len(x), rows), np.float32)
    told = (len(x), x.data_ptr(), 4 * x.shape[1])
    for first in range(0, rows, PANEL):
        last = min(rows, first + PANEL)
        at = out.ctypes.data + 4 * first
        product.kernel.ctypes(
            product.native.state, 0, told[0], told[1], told[2], first, last, at, 4 * rows
        )
    return out

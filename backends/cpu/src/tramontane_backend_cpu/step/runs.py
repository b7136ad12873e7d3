"""Which rows of a step have which adapters: runs of vectors, as jobs of a kernel."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

from tramontane_backend_cpu.kernels.low_rank import MOST

Run: TypeAlias = tuple[int, int, int]
"""First row, rows, and the number of what they have."""


def runs_of(groups: Sequence[Run]) -> list[int]:
    """The numbers of all runs, one behind the other, none of more than MOST rows."""
    found: list[int] = []
    for first, count, slot in groups:
        for start in range(0, count, MOST):
            found += (first + start, min(MOST, count - start), slot)
    return found


def wanted_groups(groups: Sequence[Run], wanted: Sequence[int]) -> list[Run]:
    """The same groups, of the rows that are wanted. wanted: rows of the step, ascending."""
    found = []
    for first, count, slot in groups:
        start, end = bisect_left(wanted, first), bisect_left(wanted, first + count)
        if end > start:
            found.append((start, end - start, slot))
    return found

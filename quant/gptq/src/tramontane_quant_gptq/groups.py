"""Which columns share a scale, and in which order they are stored so that those lie together.

A layout's groups are equally many columns, side by side. Where the file's are not, as the last of
a matrix whose columns are no multiple of the group, groups of their greatest common divisor repeat
the scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 16
"""Columns of the smallest groups for which backends have kernels."""


@dataclass(frozen=True)
class Grouping:
    """order: the matrix's column that is stored at each place, int64, or None for its own order.
    size: columns of a group. group: of each group in that order, the file's."""

    order: Tensor | None
    size: int
    group: Tensor


def grouping_of(group: Tensor) -> Grouping | None:
    """group: (columns) int64, the group of each. None where no groups of at least 16 columns make
    up the file's, even in another order."""
    found = _side_by_side(group)
    if found is None:
        order = group.argsort(stable=True)
        found = _side_by_side(group[order])
        return None if found is None else Grouping(order, found.size, found.group)
    return found


def _side_by_side(group: Tensor) -> Grouping | None:
    lengths = torch.unique_consecutive(group, return_counts=True)[1]
    size = math.gcd(*lengths.tolist())
    return Grouping(None, size, group[::size]) if size % LEAST == 0 else None

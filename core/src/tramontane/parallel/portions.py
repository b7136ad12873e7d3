"""How much of something each rank has: runs of whole steps, as equal as they can be."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

PREFERRED = (64, 32, 16)
"""Steps that kernels are quick with, the best first."""
FINE = 4
"""Steps that a rank has at least, where a preferred one is used."""


def portions(count: int, size: int, step: int = 1) -> list[range] | None:
    """`count` in `size` runs, in order, with borders at multiples of `step`; None where a rank
    would have nothing."""
    steps = -(-count // step)
    if steps < size or count < 1:
        return None
    borders = [min(count, step * (steps * rank // size)) for rank in range(size + 1)]
    return [range(*pair) for pair in pairwise(borders)]


def wide_portions(count: int, size: int, step: int) -> list[range] | None:
    """The same of many numbers, where kernels would have coarser borders, if that leaves the runs
    about equal."""
    for preferred in PREFERRED:
        coarse = math.lcm(step, preferred)
        if count >= coarse * size * FINE or coarse == step:
            return portions(count, size, coarse)
    return portions(count, size, step)


class Heads(NamedTuple):
    """Of attention. q, kv: heads of a rank, the second those that its queries read."""

    q: range
    kv: range


def head_portions(
    heads: int, kv_heads: int, width: int, size: int, step: int
) -> list[Heads] | None:
    """Heads of each rank, so that each of its key-value heads serves as many queries; where there
    are fewer of these than ranks, several ranks have one. width: columns of each head in what reads
    their results, which is cut at multiples of `step` columns. None where a rank would have
    nothing."""
    if heads % kv_heads:
        return None
    group = heads // kv_heads
    sets = math.lcm(group * width, step) // (group * width)
    found = portions(kv_heads, size, sets)
    if found is not None:
        return [Heads(range(kv.start * group, kv.stop * group), kv) for kv in found]
    if kv_heads >= size:
        return None
    each = math.lcm(width, step) // width
    shared: list[Heads] = []
    for kv in range(kv_heads):
        first, last = (-(-size * at // kv_heads) for at in (kv, kv + 1))
        queries = portions(group, last - first, each)
        if queries is None or (kv * group * width) % step:
            return None
        begin = kv * group
        shared += [
            Heads(range(begin + q.start, begin + q.stop), range(kv, kv + 1)) for q in queries
        ]
    return shared

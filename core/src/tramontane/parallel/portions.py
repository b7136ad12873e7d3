"""How much of something each rank has: runs of whole steps, as equal as they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

PREFERRED = (64, 32, 16)
"""Steps that kernels are quick with, the best first."""
FINE = 4
"""Steps that a rank has at least, where a preferred one is used."""


def portions(
    count: int, size: int, step: int = 1, weights: Sequence[float] = ()
) -> list[range] | None:
    """`count` in `size` runs, in order, with borders at multiples of `step`; None where a rank
    would have nothing. weights: how much each is to have, relative to the others; empty: all the
    same."""
    steps = -(-count // step)
    if steps < size or count < 1:
        return None
    if weights:
        sums = [0.0, *accumulate(weights)]
        wanted = [round(steps * each / sums[-1]) for each in sums]
        wanted = [max(each, rank) for rank, each in enumerate(accumulate(wanted, max))]
        wanted = [min(each, steps - size + rank) for rank, each in enumerate(wanted)]
    else:
        wanted = [steps * rank // size for rank in range(size + 1)]
    borders = [min(count, step * each) for each in wanted]
    if any(one >= other for one, other in pairwise(borders)):
        return None
    return [range(*pair) for pair in pairwise(borders)]


def wide_portions(
    count: int, size: int, step: int, weights: Sequence[float] = ()
) -> list[range] | None:
    """The same of many numbers, where kernels would have coarser borders, if that leaves the runs
    about equal."""
    for preferred in PREFERRED:
        coarse = math.lcm(step, preferred)
        if count >= coarse * size * FINE or coarse == step:
            return portions(count, size, coarse, weights)
    return portions(count, size, step, weights)


class Heads(NamedTuple):
    """Of attention. q, kv: heads of a rank, the second those that its queries read."""

    q: range
    kv: range


def head_portions(
    heads: int,
    kv_heads: int,
    width: int,
    size: int,
    step: int,
    weights: Sequence[float] = (),
) -> list[Heads] | None:
    """Heads of each rank, so that each of its key-value heads serves as many queries; where there
    are fewer of these than ranks, several ranks have one. width: columns of each head in what reads
    their results, which is cut at multiples of `step` columns. None where a rank would have
    nothing."""
    if heads % kv_heads:
        return None
    group = heads // kv_heads
    sets = math.lcm(group * width, step) // (group * width)
    found = portions(kv_heads, size, sets, weights)
    if found is not None:
        return [Heads(range(kv.start * group, kv.stop * group), kv) for kv in found]
    if kv_heads >= size:
        return None
    each = math.lcm(width, step) // width
    shared: list[Heads] = []
    for kv in range(kv_heads):
        first, last = (-(-size * at // kv_heads) for at in (kv, kv + 1))
        queries = portions(group, last - first, each, weights[first:last])
        begin = kv * group
        if queries is None or begin * width % step:
            return None
        shared += [
            Heads(range(begin + q.start, begin + q.stop), range(kv, kv + 1)) for q in queries
        ]
    return shared

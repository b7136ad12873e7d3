"""Sample one token from a distribution, by inverse transform sampling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .step import Candidates

BLOCK = 1024


def draw(candidates: Candidates, number: float) -> int:
    """The token at `number`, 0 <= number < 1, of the cumulative softmax by ascending id."""
    ids, logits = candidates.ids, candidates.logits
    if not (candidates.whole or bool((ids[1:] > ids[:-1]).all())):
        order = np.argsort(ids)
        ids, logits = ids[order], logits[order]
    weights = logits - logits.max()
    np.exp(weights, out=weights)  # in place: allocating an array costs more than the exponentials
    return int(ids[locate(weights, number)])


def locate(weights: npt.NDArray[np.floating], number: float) -> int:
    """The first position whose cumulative weight exceeds `number` times the total.

    weights: (n). Blocks are summed first, so that only one block needs a cumulative sum.
    """
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK), dtype=np.float64)
    mass = np.cumsum(sums)
    goal = number * float(mass[-1])
    block = _first_above(mass, goal)
    start = block * BLOCK
    inside = np.cumsum(weights[start : start + BLOCK], dtype=np.float64)
    rest = goal - float(mass[block] - sums[block])
    return start + _first_above(inside, max(rest, 0.0))


def _first_above(mass: npt.NDArray[np.float64], goal: float) -> int:
    # by rounding the goal may equal the total, which is after the last position with a weight
    last = np.searchsorted(mass, mass[-1])
    return int(min(np.searchsorted(mass, goal, side="right"), last))

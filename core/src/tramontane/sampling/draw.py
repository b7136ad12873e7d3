"""One token from a distribution, by the inverse of its cumulative sum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .step import Candidates

BLOCK = 1024


def draw(candidates: Candidates, number: float) -> int:
    """The token at `number`, 0 <= number < 1, of the softmax summed up by ascending id."""
    ids, logits = candidates.ids, candidates.logits
    if not (candidates.whole or bool((ids[1:] > ids[:-1]).all())):
        order = np.argsort(ids)
        ids, logits = ids[order], logits[order]
    weights = logits - logits.max()
    np.exp(weights, out=weights)  # in place: pages of new arrays cost more than the exponentials
    return int(ids[locate(weights, number)])


def locate(weights: npt.NDArray[np.floating], number: float) -> int:
    """The first position whose cumulative weight exceeds `number` times the total.

    Sums of blocks come first, so that one block alone is summed up position by position.
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
    # rounding may take the goal to the total, which is past the last position with a weight
    last = np.searchsorted(mass, mass[-1])
    return int(min(np.searchsorted(mass, goal, side="right"), last))

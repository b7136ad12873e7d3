"""The largest logits of a vocabulary, without sorting it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCKS = 2048


def largest(
    logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.intp]:
    """Positions of the `count` largest logits, falling; of equal ones the lower id first.

    The vocabulary is split into blocks. As many blocks as `count` have a maximum of at least the
    `count`-th largest maximum, so no logit below that bound can be among the `count` largest.
    """
    total = len(logits)
    count = min(count, total)
    rows = total // BLOCKS
    if count * 2 <= BLOCKS and rows >= 4:
        maxima = logits[: rows * BLOCKS].reshape(rows, BLOCKS).max(axis=0)
        bound = np.partition(maxima, BLOCKS - count)[BLOCKS - count]
        few = np.flatnonzero(logits >= bound)
    else:
        few = np.arange(total)
    if len(few) > 4 * count:
        values = logits[few]
        bound = np.partition(values, len(few) - count)[len(few) - count]
        few = few[values >= bound]
    return few[falling(logits[few], ids[few])[:count]]


def falling(logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """All positions by falling logit; of equal ones the lower id first."""
    if bool((ids[1:] > ids[:-1]).all()):
        return np.argsort(-logits, kind="stable")  # half the time of two keys
    return np.lexsort((ids, -logits))

"""The largest logits of a vocabulary, without sorting it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCKS = 2048


def largest(
    logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.intp]:
    """Ascending positions of the `count` largest logits; of equal ones those of the lower ids.

    The vocabulary is split into blocks. As many blocks as `count` have a maximum of at least the
    `count`-th largest maximum, so no logit below that bound can be among the `count` largest.
    """
    total = len(logits)
    if count >= total:
        return np.arange(total)
    rows = total // BLOCKS
    if count * 2 > BLOCKS or rows < 4:
        return _largest(logits, ids, count)
    maxima = logits[: rows * BLOCKS].reshape(rows, BLOCKS).max(axis=0)
    candidates = np.flatnonzero(logits >= np.partition(maxima, BLOCKS - count)[BLOCKS - count])
    return candidates[_largest(logits[candidates], ids[candidates], count)]


def _largest(
    logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.intp]:
    bound = np.partition(logits, len(logits) - count)[len(logits) - count]
    selected = logits > bound
    equal = np.flatnonzero(logits == bound)
    missing = count - np.count_nonzero(selected)
    if len(equal) > missing:
        equal = equal[np.argsort(ids[equal], kind="stable")[:missing]]
    selected[equal] = True
    return np.flatnonzero(selected)


def falling(logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """All positions by falling logit; of equal ones the lower id first."""
    if bool((ids[1:] > ids[:-1]).all()):
        return np.argsort(-logits, kind="stable")  # half the time of two keys
    return np.lexsort((ids, -logits))

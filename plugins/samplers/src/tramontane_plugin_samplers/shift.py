"""Adding to the logits of some tokens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tramontane.sampling.step import Candidates, Ids


def shift(candidates: Candidates, tokens: Ids, amounts: npt.NDArray[np.floating]) -> Candidates:
    """Add `amounts` to the logits of `tokens`, ascending, where they are still candidates."""
    at = candidates.positions(tokens)
    if not len(at):
        return candidates
    logits = candidates.logits.copy()
    logits[at] += amounts[np.searchsorted(tokens, candidates.ids[at])].astype(np.float32)
    return candidates.with_logits(logits)

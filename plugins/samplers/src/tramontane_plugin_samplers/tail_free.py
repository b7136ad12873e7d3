"""Tail free sampling: cut where the sorted probabilities have stopped bending.

With p sorted falling, d_i = p_i - p_{i+1} and c_i = |d_i - d_{i+1}| / sum_j |d_j - d_{j+1}|, keep
as many tokens as there are c before their running sum exceeds z, one at least. Phénix and Egan
2019, "Tail Free Sampling", with the count of llm-samplers and llama.cpp, which is one less.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number

STRAIGHT = 1e-6
"""Below this sum of bends they are rounding errors, and all count alike."""


def build(options: Options, context: SamplerContext) -> Step | None:
    """z: 1 is off."""
    z = number("tail_free", options, "z", 0, 1)
    if z == 1:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        falling = -np.sort(-candidates.logits)
        falling = falling[falling > -np.inf].astype(np.float64)
        if len(falling) <= 2:
            return candidates
        weights = np.exp(falling - falling[0])
        bends = np.abs(np.diff(weights / weights.sum(), 2))
        total = float(bends.sum())
        shares = bends / total if total > STRAIGHT else np.full(len(bends), 1 / len(bends))
        over = np.flatnonzero(np.cumsum(shares) > z)
        return candidates.keep(candidates.top(max(1, int(over[0])))) if len(over) else candidates

    return step

"""Locally typical sampling: keep the tokens nearest to the expected surprise whose mass is p.

With the entropy H = -sum p log p, tokens are taken by rising |-log p_i - H| until their probability
reaches p. Meister et al. 2023, "Locally Typical Sampling", section 4.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number
from .softmax import entropy, log_total

ROUNDING = 1e-6


def build(options: Options, context: SamplerContext) -> Step | None:
    """p: 1 is off."""
    p = number("typical", options, "p", 0, 1)
    if p == 1:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        normal = log_total(candidates.logits)
        surprise = normal - candidates.logits.astype(np.float64)
        distance = np.abs(surprise - entropy(candidates.logits))
        order = np.argsort(distance)
        mass = np.cumsum(np.exp(-surprise[order]))
        count = int(np.searchsorted(mass, p - ROUNDING)) + 1
        if count >= len(order):
            return candidates
        # of those at the same distance as the last one, the lower ids
        bound = distance[order[count - 1]]
        nearer, equal = np.flatnonzero(distance < bound), np.flatnonzero(distance == bound)
        equal = equal[np.argsort(candidates.ids[equal])[: count - len(nearer)]]
        return candidates.keep(np.sort(np.concatenate((nearer, equal))))

    return step

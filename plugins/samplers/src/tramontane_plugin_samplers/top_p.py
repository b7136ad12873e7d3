"""Top-p, nucleus sampling: keep the fewest most likely tokens whose probability sums to p.

Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, Floats, History, SamplerContext, Step

from .options import Options, number
from .softmax import log_total

FIRST = 1024
ROUNDING = 1e-6
"""Sums of single-precision probabilities may miss p by this."""


def fewest(logits: Floats, p: float, normal: float) -> int:
    """How many of the falling logits reach p; one more than there are if all do not."""
    mass = logits.astype(np.float64)
    mass -= normal
    np.exp(mass, out=mass)
    np.cumsum(mass, out=mass)
    return int(np.searchsorted(mass, p - ROUNDING)) + 1


def build(options: Options, context: SamplerContext) -> Step | None:
    """p: 1 is off; 0 keeps the most likely token alone."""
    p = number("top_p", options, "p", 0, 1)
    if p == 1:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        normal = log_total(candidates.logits)
        best = candidates.best(FIRST)
        count = fewest(candidates.logits[best], p, normal)
        if count <= len(best):
            return candidates.keep(np.sort(best[:count]))
        # sorting values alone is far quicker than sorting positions by them
        count = fewest(-np.sort(-candidates.logits), p, normal)
        return candidates.keep(candidates.top(count))

    return step

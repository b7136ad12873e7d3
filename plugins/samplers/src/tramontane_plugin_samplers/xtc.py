"""XTC, exclude top choices: with a given probability forbid all tokens above the threshold but the
least likely of them, so that the text takes another turn while a sensible one is left.

By P. E. Weidmann, text-generation-webui pull request 6335.
"""

from __future__ import annotations

import math

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number
from .softmax import log_total

STREAM = 0x787463
"""Keeps the step's random numbers apart from those of the draw, which has the same seed."""


def build(options: Options, context: SamplerContext) -> Step | None:
    """probability: 0 is off. threshold: above 0.5 is off, for there are never two such tokens."""
    probability = number("xtc", options, "probability", 0, 1)
    threshold = number("xtc", options, "threshold", 0, 1)
    if probability == 0 or threshold > 0.5:
        return None
    least = math.log(threshold) if threshold > 0 else -math.inf
    random = np.random.Generator(np.random.PCG64([context.seed, STREAM]))

    def step(candidates: Candidates, history: History) -> Candidates:
        if random.random() >= probability:
            return candidates
        bound = least + log_total(candidates.logits)
        top = np.flatnonzero((candidates.logits >= bound) & (candidates.logits > -np.inf))
        if len(top) < 2:
            return candidates
        last = np.lexsort((-candidates.ids[top], candidates.logits[top]))[0]
        logits = candidates.logits.copy()
        logits[np.delete(top, last)] = -np.inf
        return candidates.with_logits(logits)

    return step

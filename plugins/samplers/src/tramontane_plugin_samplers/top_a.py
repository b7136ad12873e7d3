"""Top-a: keep p_i >= a1 * max(p)^a2. By BlinkDL, RWKV-LM README, "The top-a sampling method"."""

from __future__ import annotations

import math

from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number
from .softmax import log_total


def build(options: Options, context: SamplerContext) -> Step | None:
    """a1, a2: either 0 is off. With a2 = 2 it is top-a as published."""
    a1 = number("top_a", options, "a1", 0, 1)
    a2 = number("top_a", options, "a2", 0, 100)
    if a1 == 0 or a2 == 0:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        most = float(candidates.logits.max())
        normal = log_total(candidates.logits)
        bound = normal + math.log(a1) + a2 * (most - normal)
        # with a2 < 1 the threshold may lie above the largest probability
        return candidates.where(candidates.logits >= min(bound, most))

    return step

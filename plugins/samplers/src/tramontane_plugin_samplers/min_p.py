"""Min-p: keep p_i >= p * max(p), that is l_i >= max(l) + log p.

Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs".
"""

from __future__ import annotations

import math

from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number


def build(options: Options, context: SamplerContext) -> Step | None:
    """p: 0 is off; 1 keeps the most likely tokens alone."""
    p = number("min_p", options, "p", 0, 1)
    if p == 0:
        return None
    below = math.log(p)

    def step(candidates: Candidates, history: History) -> Candidates:
        bound = float(candidates.logits.max()) + below
        return candidates.where(candidates.logits >= bound)

    return step

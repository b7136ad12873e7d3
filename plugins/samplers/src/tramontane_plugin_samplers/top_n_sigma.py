"""Top-n-sigma: keep l_i >= max(l) - n * sigma, the standard deviation of the logits.

Tang et al. 2024, "Top-n-sigma: Not All Logits Are You Need". Forbidden tokens do not count.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number


def build(options: Options, context: SamplerContext) -> Step | None:
    """n: 0 is off."""
    n = number("top_n_sigma", options, "n", 0, 1000)
    if n == 0:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        logits = candidates.logits
        if logits.min() == -np.inf:
            logits = logits[logits > -np.inf]
        bound = float(logits.max()) - n * float(logits.std(dtype=np.float64))
        return candidates.where(candidates.logits >= bound)

    return step

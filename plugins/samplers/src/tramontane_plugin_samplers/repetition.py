"""Repetition penalty: l / penalty for l > 0, else l * penalty, for tokens seen before.

Keskar et al. 2019, CTRL, section 4.1; for negative logits as in Transformers. "Before" is the last
`last_n` tokens of prompt and output together.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number, whole
from .window import Window


def build(options: Options, context: SamplerContext) -> Step | None:
    """penalty: 1 is off, above 1 discourages. last_n: 0 is off, -1 all tokens."""
    penalty = np.float32(number("repetition", options, "penalty", 0.001, 1000))
    last_n = whole("repetition", options, "last_n", -1)
    if penalty == 1 or last_n == 0:
        return None
    window = Window(last_n)

    def step(candidates: Candidates, history: History) -> Candidates:
        at = candidates.positions(window(history))
        logits = candidates.logits.copy()
        seen = logits[at]
        logits[at] = np.where(seen > 0, seen / penalty, seen * penalty)
        return candidates.with_logits(logits)

    return step

"""Dynamic temperature: low + (high - low) * (H / log n)^exponent, for entropy H of n tokens.

A sure model is kept cool and an undecided one is let loose. By kalomaze, as in llama.cpp.
"""

from __future__ import annotations

import math

import numpy as np
from tramontane.sampling.step import Candidates

from .softmax import entropy


def dynamic_temperature(candidates: Candidates, low: float, high: float, exponent: float) -> float:
    """The temperature for these candidates. Forbidden tokens do not count among the n."""
    count = int((candidates.logits > -np.inf).sum())
    if count <= 1:
        return low
    share = min(max(entropy(candidates.logits) / math.log(count), 0.0), 1.0)
    return low + (high - low) * math.pow(share, exponent)

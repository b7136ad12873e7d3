"""Temperature: l_i / t. Ackley, Hinton and Sejnowski 1985; and its limit at 0, greedy decoding."""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, Floats, History, SamplerContext, Step

from .dynatemp import dynamic_temperature
from .options import Options, number

COLDEST = 1e-5
"""Below it only the most likely token is left; dividing would overflow."""


def build(options: Options, context: SamplerContext) -> Step | None:
    """t: 1 is off, 0 is greedy. range, exponent: see `dynamic_temperature`; range 0 is off."""
    t = number("temperature", options, "t", 0, 100)
    reach = number("temperature", options, "range", 0, 100)
    exponent = number("temperature", options, "exponent", 0, 100)
    if reach > 0:

        def follow(candidates: Candidates, history: History) -> Candidates:
            now = dynamic_temperature(candidates, max(0.0, t - reach), t + reach, exponent)
            return candidates.with_logits(cooled(candidates.logits, max(now, COLDEST)))

        return follow
    if t < COLDEST:
        return greedy({}, context)
    if t == 1:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        return candidates.with_logits(cooled(candidates.logits, t))

    return step


def greedy(options: Options, context: SamplerContext) -> Step:
    """Keep the most likely token, of equal ones the lowest id."""

    def step(candidates: Candidates, history: History) -> Candidates:
        return candidates.keep(candidates.best(1))

    return step


def cooled(logits: Floats, t: float) -> Floats:
    """(l - max(l)) / t: the same softmax as l / t, and it cannot overflow upwards."""
    with np.errstate(over="ignore"):
        return np.asarray((logits - logits.max()) / np.float32(t), np.float32)

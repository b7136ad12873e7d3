"""Frequency and presence penalty: l_i - count_i * frequency - [count_i > 0] * presence.

OpenAI API reference. As there, only generated tokens count, not those of the prompt; of those the
last `last_n`.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number, whole
from .shift import shift
from .window import Window


def build(options: Options, context: SamplerContext) -> Step | None:
    """frequency, presence: 0 is off, negative encourages. last_n: 0 is off, -1 all tokens."""
    frequency = number("frequency_presence", options, "frequency", -100, 100)
    presence = number("frequency_presence", options, "presence", -100, 100)
    last_n = whole("frequency_presence", options, "last_n", -1)
    if (frequency == 0 and presence == 0) or last_n == 0:
        return None
    window = Window(last_n, prompt=False)

    def step(candidates: Candidates, history: History) -> Candidates:
        tokens, counts = np.unique(window(history), return_counts=True)
        return shift(candidates, tokens, -(counts * frequency + presence))

    return step

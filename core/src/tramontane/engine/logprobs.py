"""How likely the model thought a token, before any sampler."""

from __future__ import annotations

import math

import numpy as np

from tramontane.sampling.step import Floats
from tramontane.tokenizer.tokenizer import Tokenizer

from .request import TokenLogprob


def token_logprob(logits: Floats, token: int, count: int, tokenizer: Tokenizer) -> TokenLogprob:
    """A token's log-probability in a row of logits, with the `count` most likely tokens."""
    normal = log_normalizer(logits)
    best: list[int] = []
    if count:
        likely = np.argpartition(-logits, min(count, len(logits) - 1))[:count]
        best = sorted(likely.tolist(), key=lambda i: (-float(logits[i]), i))
    piece = tokenizer.decode
    return TokenLogprob(
        token,
        piece([token], skip_special=False),
        float(logits[token]) - normal,
        tuple((i, piece([i], skip_special=False), float(logits[i]) - normal) for i in best),
    )


def log_normalizer(logits: Floats) -> float:
    """log of the sum of exp(logits), in float64."""
    most = float(logits.max())
    return most + math.log(float(np.exp(logits.astype(np.float64) - most).sum()))

"""Log-probabilities of tokens, from the model's logits before any sampler."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tramontane.sampling.step import Floats

from .request import TokenLogprob

IMPOSSIBLE = -9999.0
"""Of a token that cannot be drawn; minus infinity is no number in JSON."""


def token_logprob(
    logits: Floats, token: int, count: int, bytes_of: Callable[[int], bytes]
) -> TokenLogprob:
    """A token's log-probability in a row of logits, with the `count` most likely tokens.

    logits: (vocabulary) float32. bytes_of: the bytes of a token at this position.
    """
    normal = log_normalizer(logits)
    best: list[int] = []
    if count:
        likely = np.argpartition(-logits, min(count, len(logits) - 1))[:count]
        best = sorted(likely.tolist(), key=lambda i: (-float(logits[i]), i))
    # a prompt may have tokens that the head does not
    logprob = float(logits[token]) - normal if token < len(logits) else IMPOSSIBLE
    data = bytes_of(token)
    others = tuple(bytes_of(index) for index in best)
    return TokenLogprob(
        token,
        _text(data),
        logprob,
        tuple(
            (i, _text(other), float(logits[i]) - normal)
            for i, other in zip(best, others, strict=True)
        ),
        data,
        others,
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def log_normalizer(logits: Floats) -> float:
    """log(sum(exp(logits))) of logits (vocabulary), computed in float64."""
    largest = float(logits.max())
    return largest + math.log(float(np.exp(logits.astype(np.float64) - largest).sum()))

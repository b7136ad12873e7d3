"""The normalizer and the entropy of a softmax."""

from __future__ import annotations

import math

import numpy as np
from tramontane.sampling.step import Floats


def log_total(logits: Floats) -> float:
    """log sum_i exp(l_i): a token's log-probability is its logit minus this."""
    most = logits.max()
    # single precision halves the time over a vocabulary, and no threshold can tell the error, 1e-7;
    # in place, for pages of new arrays cost more than the exponentials
    weights = logits - most
    np.exp(weights, out=weights)
    return float(most) + math.log(float(weights.sum(dtype=np.float64)))


def entropy(logits: Floats) -> float:
    """-sum p log p = log sum exp(l) - sum p l, in nats; forbidden tokens add nothing."""
    fall = logits - logits.max()
    weights = np.exp(fall)
    total = float(weights.sum(dtype=np.float64))
    moments = np.multiply(weights, fall, out=np.zeros_like(fall), where=weights > 0)
    return math.log(total) - float(moments.sum(dtype=np.float64)) / total

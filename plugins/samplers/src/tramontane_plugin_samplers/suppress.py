"""Suppressed tokens: l_i = -inf. (Transformers, `suppress_tokens`.)"""

from __future__ import annotations

import numpy as np
from tramontane.errors import RequestError
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, refusal


def build(options: Options, context: SamplerContext) -> Step | None:
    """tokens: ids, or a text of ids separated by commas."""
    given = options["tokens"]
    try:
        ids = given.split(",") if isinstance(given, str) else given
        tokens = np.array([int(token) for token in ids if token != ""], np.int64)
    except (TypeError, ValueError):
        raise refusal("suppress", "tokens", given, "token ids, such as 1,2,3") from None
    for token in tokens.tolist():
        if not 0 <= token < context.vocab_size:
            raise RequestError(
                f"sampler suppress: token {token} is outside the vocabulary of {context.vocab_size}"
            )
    if not len(tokens):
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        logits = candidates.logits.copy()
        logits[candidates.positions(tokens)] = -np.inf
        return candidates.with_logits(logits)

    return step

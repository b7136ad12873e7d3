"""Logit bias: l_i + b_i for chosen tokens; -inf forbids one. (OpenAI API, `logit_bias`.)"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from tramontane.errors import RequestError
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, refusal
from .shift import shift

ALLOWED = "token=bias pairs, the bias from -100 to 100 or -inf, such as 15043=-1.5,29991=-inf"


def build(options: Options, context: SamplerContext) -> Step | None:
    """bias: a mapping from token ids, or the text of one."""
    given = options["bias"]
    pairs = _pairs(given) if isinstance(given, str) else given
    if not isinstance(pairs, Mapping):
        raise refusal("logit_bias", "bias", given, ALLOWED)
    for token, bias in pairs.items():
        if not (-100 <= bias <= 100 or bias == -math.inf):
            raise refusal("logit_bias", "bias", bias, ALLOWED)
        if not 0 <= token < context.vocab_size:
            raise RequestError(
                f"sampler logit_bias: token {token} is outside the vocabulary of "
                f"{context.vocab_size}"
            )
    if not pairs:
        return None
    tokens = np.array(sorted(pairs), np.int64)
    amounts = np.array([pairs[token] for token in tokens.tolist()], np.float32)

    def step(candidates: Candidates, history: History) -> Candidates:
        return shift(candidates, tokens, amounts)

    return step


def _pairs(text: str) -> dict[int, float]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    try:
        return {int(token): float(bias) for token, _, bias in pairs}
    except ValueError:
        raise refusal("logit_bias", "bias", text, ALLOWED) from None

"""Mirostat: keep the surprise of the text near tau bits by feedback.

Basu et al. 2021, "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity".
Candidates are cut so that their largest surprise is about mu. After each token of surprise s, its
-log2 p among those that were left, mu falls by eta * (s - tau). mu starts at 2 tau.

Version 1 (algorithm 1) assumes Zipf's law p_i ~ 1 / i^s and keeps the k most likely tokens,
    s = sum t_i b_i / sum t_i^2,  t_i = log((i+1) / i),  b_i = log(p_i / p_{i+1}),  i < m = 100
    k = (e 2^mu / (1 - N^-e))^(1/s),  e = s - 1,  N the size of the vocabulary.
Version 2 (algorithm 2) keeps the tokens whose surprise is at most mu.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number
from .softmax import log_total

Cut: TypeAlias = Callable[[Candidates, float], npt.NDArray[np.intp]]
M = 100


def build1(options: Options, context: SamplerContext) -> Step | None:
    """Version 1. version: what the request asks for; other than 1 is off."""

    def cut(candidates: Candidates, mu: float) -> npt.NDArray[np.intp]:
        best = candidates.best(M)
        best = best[candidates.logits[best] > -np.inf]
        count = zipf_count(candidates.logits[best].astype(np.float64), mu, context.vocab_size)
        return candidates.top(max(1, count))

    return _build("mirostat1", 1, cut, options)


def build2(options: Options, context: SamplerContext) -> Step | None:
    """Version 2. version: what the request asks for; other than 2 is off."""

    def cut(candidates: Candidates, mu: float) -> npt.NDArray[np.intp]:
        bound = log_total(candidates.logits) - mu * math.log(2)
        kept = np.flatnonzero(candidates.logits >= bound)
        return kept if len(kept) else candidates.best(1)

    return _build("mirostat2", 2, cut, options)


def zipf_count(logits: npt.NDArray[np.float64], mu: float, vocab_size: int) -> int:
    """k of version 1, from the largest logits, falling."""
    if len(logits) < 2:
        return 1
    t = np.log1p(1 / np.arange(1, len(logits)))
    b = -np.diff(logits)
    # equal probabilities follow no Zipf's law; the least exponent keeps k defined
    s = max(float((t * b).sum() / (t * t).sum()), 1e-3)
    e = s - 1
    log_n = math.log(vocab_size)
    ratio = e / -math.expm1(-e * log_n) if abs(e) > 1e-9 else 1 / log_n
    log_k = (math.log(ratio) + mu * math.log(2)) / s
    return max(1, math.floor(math.exp(min(log_k, log_n))))


class Mirostat:
    """The feedback that both versions share. It belongs to one request."""

    def __init__(self, tau: float, eta: float, cut: Cut) -> None:
        self.tau, self.eta, self.mu = tau, eta, 2 * tau
        self._cut = cut
        self._returned: Candidates | None = None
        self._length = 0

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        self._learn(history)
        self._returned = candidates.keep(self._cut(candidates, self.mu))
        self._length = len(history.output)
        return self._returned

    def _learn(self, history: History) -> None:
        """Correct mu by the token that was drawn from the candidates returned last."""
        if self._returned is None or len(history.output) != self._length + 1:
            return
        at = np.flatnonzero(self._returned.ids == history.output[-1])
        if len(at):
            log_p = float(self._returned.logits[at[0]]) - log_total(self._returned.logits)
            self.mu -= self.eta * (-log_p / math.log(2) - self.tau)


def _build(name: str, version: int, cut: Cut, options: Options) -> Step | None:
    tau = number(name, options, "tau", 0, 100)
    eta = number(name, options, "eta", 0, 1)
    if number(name, options, "version", 0, 2) != version:
        return None
    return Mirostat(tau, eta, cut)

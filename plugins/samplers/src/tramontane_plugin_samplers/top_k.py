"""Top-k: keep the k largest logits. Fan, Lewis and Dauphin 2018, section 5.4.

Of equal logits the lower ids stay, so that exactly k do.
"""

from __future__ import annotations

from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, whole


def build(options: Options, context: SamplerContext) -> Step | None:
    """k: 0 and -1 are off. min_keep: at least so many stay, whatever k says."""
    k = whole("top_k", options, "k", -1)
    count = max(k, whole("top_k", options, "min_keep", 0))
    if k <= 0:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        if len(candidates.ids) <= count:
            return candidates
        return candidates.keep(candidates.top(count))

    return step

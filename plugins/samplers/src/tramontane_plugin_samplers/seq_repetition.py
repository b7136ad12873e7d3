"""Sequence repetition: l_i - flat_penalty - length * stacking_penalty for a token that would
continue a sequence seen before.

The idea and the options are those of llm-samplers. After 1 2 3 4 1 2 3 the token 4 would continue
a repeated sequence; its length is 4, that of the earlier sequence with the token that follows.
With `tolerance`, that many of the last tokens may stand for others, each for one token or, with
`max_merge`, for up to so many in a row: 1 8 3 4 1 2 3 matches with a tolerance of 1, and
1 7 8 3 4 1 2 3 if besides max_merge is 2. The ends of a match are never tolerated.
"""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import Candidates, History, SamplerContext, Step

from .options import Options, number, whole
from .shift import shift
from .window import Window


def build(options: Options, context: SamplerContext) -> Step | None:
    """min_length: tokens that must match. last_n: where to look; bounded, for a text that repeats
    itself takes its square in time."""
    flat = number("seq_repetition", options, "flat_penalty", -1000, 1000)
    stacking = number("seq_repetition", options, "stacking_penalty", -1000, 1000)
    min_length = whole("seq_repetition", options, "min_length", 1)
    tolerance = whole("seq_repetition", options, "tolerance", 0)
    max_merge = whole("seq_repetition", options, "max_merge", 0)
    window = Window(whole("seq_repetition", options, "last_n", 0, 512))
    if flat == 0 and stacking == 0:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        seen = window(history)
        found: dict[int, int] = {}
        tokens = seen.tolist()
        for end in np.flatnonzero(seen[:-1] == seen[-1:]).tolist():
            length = match(tokens, end, min_length, tolerance, max(1, max_merge))
            if length:
                follower = tokens[end + 1]
                found[follower] = max(found.get(follower, 0), length + 1)
        if not found:
            return candidates
        followers = np.array(sorted(found), np.int64)
        lengths = np.array([found[token] for token in followers.tolist()])
        return shift(candidates, followers, -(flat + stacking * lengths))

    return step


def match(tokens: list[int], end: int, min_length: int, tolerance: int, merge: int) -> int:
    """How many tokens up to `end` match the last ones, or 0 if they match fewer than `min_length`.

    Both are walked backwards.
    """
    early, late, longest = end, len(tokens) - 1, 0
    while 0 <= early < late:
        if tokens[early] == tokens[late]:
            if len(tokens) - late >= min_length:
                longest = end - early + 1
            early, late = early - 1, late - 1
            continue
        if tolerance == 0:
            break
        tolerance -= 1
        late -= 1
        widths = range(1, min(merge, early) + 1)
        early -= next((width for width in widths if tokens[early - width] == tokens[late]), 1)
    return longest

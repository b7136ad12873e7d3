"""Keeps a share of the candidates, the likeliest first."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from tramontane.errors import RequestError
from tramontane.sampling import Candidates, History, SamplerContext, Step


def build(options: Mapping[str, Any], context: SamplerContext) -> Step | None:
    keep = options["keep"]
    if not (isinstance(keep, (int, float)) and 0 < keep <= 1):
        raise RequestError(f"keep={keep!r} must be over 0 and at most 1")
    if keep == 1:
        return None

    def step(candidates: Candidates, history: History) -> Candidates:
        return candidates.keep(candidates.descending()[: ceil(keep * len(candidates.ids))])

    return step

"""Vectors and scores that are numbers: a model that overflows has no answer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tramontane.errors import RequestError


def require_finite(numbers: Iterable[float], what: str) -> None:
    """Raises RequestError, which names `what` is broken and the first number that shows it."""
    for number in numbers:
        if not math.isfinite(number):
            raise RequestError(
                f"the model computed {number} in {what}: its weights are damaged, or this dtype "
                "cannot hold its activations"
            )

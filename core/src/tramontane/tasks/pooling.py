"""How the vectors of a text's tokens become one; apart, so that `--help` imports no torch."""

from __future__ import annotations

POOLING = (
    "auto",
    "cls",
    "mean",
    "max",
    "mean_sqrt_len_tokens",
    "weightedmean",
    "lasttoken",
    "last",
)

"""Attention with linear biases (Press et al. 2022): scores fall with distance, by head."""

from __future__ import annotations


def alibi_slopes(heads: int, most: float = 8.0) -> tuple[float, ...]:
    """The slope of each head, (heads): what a score loses per token of distance.

    2^(-most i / n) for i = 1..n with n heads; where n is no power of two, from the slopes of the
    next power of two, every second one first. Pass it to `Attention(alibi=...)` with rope=None.
    """
    whole = 1 << (heads - 1).bit_length()
    slopes = [2.0 ** (-most * i / whole) for i in range(1, whole + 1)]
    if whole != heads:
        slopes = slopes[1::2] + slopes[::2]
    return tuple(slopes[:heads])

"""The numbers of floats of 4, 6 and 8 bits by their codes, as tables of `Codebook`.

A code is a sign, an exponent of bias b and a fraction; exponent 0 has no leading one:
number = ±(1 + fraction / 2^m) * 2^(exponent - b), or ±(fraction / 2^m) * 2^(1 - b).
e4m3 has no infinity: 0x7f and 0xff are not numbers. e5m2 has both, as IEEE's floats.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

BITS = {"e2m1": (2, 1), "e2m3": (2, 3), "e3m2": (3, 2)}
"""Bits of exponent and of fraction of the floats that torch cannot compute with."""
EIGHT = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


@cache
def float_table(kind: str) -> Tensor:
    """All numbers of "e2m1", "e2m3", "e3m2", "e4m3" or "e5m2" in float32, (2^bits), in the order of
    their codes. Shared: not to be changed in place."""
    if kind in EIGHT:
        return torch.arange(256, dtype=torch.uint8).view(EIGHT[kind]).float()
    exponents, fractions = BITS[kind]
    bias, steps = (1 << (exponents - 1)) - 1, 1 << fractions
    positive = [
        (fraction / steps if exponent == 0 else 1 + fraction / steps)
        * 2.0 ** (max(exponent, 1) - bias)
        for exponent in range(1 << exponents)
        for fraction in range(steps)
    ]
    return torch.tensor([*positive, *(-number for number in positive)])

"""The sixteen numbers of each 4-bit type, and the 256 of the bytes that scales become.

nf4: quantiles of the normal distribution. fp4: a sign, two bits of exponent, one of fraction, in
the order of the codes, as parts of its largest. dynamic: signs and 7 bits, of which the first 1
parts powers of ten from a fraction.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip
FP4 = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
"""Without the sign, times 12."""


@cache
def table_of(quant_type: str) -> Tensor:
    """(16) float32, by code."""
    if quant_type == "nf4":
        return torch.tensor(NF4)
    signed = torch.tensor((*FP4, *(-each for each in FP4)))
    return signed / 12


@cache
def dynamic_table() -> Tensor:
    """(256) float32, sorted: the bytes of double quantization."""
    numbers: list[float] = []
    for power in range(7):
        bounds = torch.linspace(0.1, 1, 2**power + 1)
        means = (bounds[:-1] + bounds[1:]) / 2
        for sign in (1, -1):
            numbers += (sign * 10.0 ** (power - 6) * means).tolist()
    return torch.tensor(sorted([*numbers, 0.0, 1.0]))

"""Division by lengths of a matrix's rows or columns, which so may stay packed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Lengths(nn.Module):
    """x / weight over the last dimension, of `dim` numbers: what dividing the rows or columns of a
    matrix by their lengths does to its results or to what it reads. weight: (dim), which the rule
    `tramontane.checkpoint.length_rules.LengthsOf` makes from the matrix. x: (..., dim) -> the same
    shape."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x / self.weight

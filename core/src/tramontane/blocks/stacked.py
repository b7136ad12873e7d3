"""Several matrices of one shape stored as one: those of experts, or of heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.layouts import Dense, Layout

from .linear import Split


class StackedLinear(nn.Module):
    """y = x Wᵀ with one of `count` matrices for each row, (rows, n_in) -> (rows, n_out).

    weight: (count * n_out, n_in), the matrices one below the other. bias: (count * n_out), theirs;
    added to the result. split: of each matrix, as in `Linear`.
    """

    weight: Layout
    kernel: Callable[[Tensor, Tensor, Layout], Tensor]

    def __init__(
        self, count: int, n_in: int, n_out: int, *, bias: bool = False, split: Split | None = None
    ) -> None:
        super().__init__()
        self.count, self.split = count, split
        self.weight = Dense(torch.empty(count * n_out, n_in))
        empty = torch.empty(count * n_out) if bias else None
        self.bias = None if empty is None else nn.Parameter(empty, requires_grad=False)
        self.kernel = reference.grouped_linear

    def forward(self, x: Tensor, counts: Tensor) -> Tensor:
        """x: (rows, n_in), in the order of the matrices. counts: (count) int64, how many rows each
        matrix has -> (rows, n_out)."""
        y = self.kernel(x, counts, self.weight)
        if self.bias is None:
            return y
        each: Tensor = self.bias.unflatten(0, (self.count, -1))
        return y + each.repeat_interleave(counts, 0, output_size=len(y))

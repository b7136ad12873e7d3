"""The matrix product: the block whose weights are quantized and that backends have kernels for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.layouts import Dense, Layout

Split: TypeAlias = Literal["column", "row"]


class Linear(nn.Module):
    """y = x Wᵀ + b, (tokens, n_in) -> (tokens, n_out).

    weight: (n_out, n_in), dense or packed; bias: (n_out).

    split: how several ranks share the weight. "column": each has some rows of it, which are columns
    of the result; "row": some columns, and its result is one of the summands. None: each has all.
    """

    weight: Layout
    kernel: Callable[[Tensor, Layout], Tensor]
    joint: Callable[[Tensor], Tensor] | None = None
    """Of a rank's result (tokens, its part) makes that of all, with the other ranks; None: nothing
    is to be made."""

    def __init__(
        self, n_in: int, n_out: int, *, bias: bool = False, split: Split | None = None
    ) -> None:
        super().__init__()
        self.split = split
        self.weight = Dense(torch.empty(n_out, n_in))
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False) if bias else None
        self.kernel = reference.linear

    def forward(self, x: Tensor) -> Tensor:
        y = self.kernel(x, self.weight)
        y = y if self.bias is None else y + self.bias
        return y if self.joint is None else self.joint(y)

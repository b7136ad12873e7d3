"""The matrix product: the block whose weights are quantized and that backends have kernels for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.layouts import Dense, Layout


class Linear(nn.Module):
    """y = x Wᵀ + b, (tokens, n_in) -> (tokens, n_out).

    weight: (n_out, n_in), dense or packed; bias: (n_out).
    """

    weight: Layout
    kernel: Callable[[Tensor, Layout], Tensor]

    def __init__(self, n_in: int, n_out: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = Dense(torch.empty(n_out, n_in))
        self.bias = nn.Parameter(torch.empty(n_out), requires_grad=False) if bias else None
        self.kernel = reference.linear

    def forward(self, x: Tensor) -> Tensor:
        y = self.kernel(x, self.weight)
        return y if self.bias is None else y + self.bias

"""The table that turns token ids into vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tramontane import reference
from tramontane.layouts import Dense, Layout


class Embedding(nn.Module):
    """A table of vectors, weight (count, dim), perhaps packed: ids (tokens) -> (tokens, dim).

    others: whether there are ids without a vector, at or above count; theirs is that of id 0.

    `dtype`: of the vectors, which is that of the model's activations.
    """

    weight: Layout
    kernel: Callable[[Tensor, Layout, torch.dtype], Tensor]

    def __init__(self, count: int, dim: int, *, others: bool = False) -> None:
        super().__init__()
        self.weight = Dense(torch.empty(count, dim))
        self.others = others
        self.dtype = torch.get_default_dtype()
        self.kernel = reference.embedding

    def forward(self, tokens: Tensor) -> Tensor:
        if self.others:
            tokens = torch.where(tokens < self.weight.shape[0], tokens, 0)
        return self.kernel(tokens, self.weight, self.dtype)

"""A packed matrix whose columns are stored in another order, so that its groups are contiguous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .affine import Affine
from .codebook import Codebook
from .dense import Dense


@dataclass(frozen=True)
class Permuted:
    """A packed matrix whose columns are stored in another order (act-order).

    layout: the matrix as it is stored. order: (parts, columns) int32; stored column j is the
    matrix's column order[p, j] in the p-th of `parts` equally large ranges of rows: usually one,
    several where matrices with orders of their own lie one below the other.
    """

    layout: Affine | Codebook
    order: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape

    @property
    def kind(self) -> str:
        return f"{self.layout.kind}/permuted"

    def tensors(self) -> dict[str, Tensor]:
        return {**self.layout.tensors(), "order": self.order}

    def rows(self, index: Tensor | slice) -> Permuted | Dense:
        """Some of the rows; dense where they are of several parts and do not make whole ones."""
        parts, each = len(self.order), self.shape[0] // len(self.order)
        if parts == 1:
            return Permuted(self.layout.rows(index), self.order)
        if isinstance(index, slice):
            start, stop, step = index.indices(self.shape[0])
            first, last = start // each, -(-stop // each)
            whole = start % each == 0 and stop % each == 0
            if step == 1 and start < stop and (whole or last - first == 1):
                return Permuted(self.layout.rows(index), self.order[first:last])
        return Dense(self.decode()).rows(index)

    def map(self, change: Callable[[Tensor], Tensor]) -> Permuted:
        """The same layout with every tensor changed."""
        return replace(self, layout=self.layout.map(change), order=change(self.order))

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights, (rows, columns), with the matrix's own order of columns."""
        stored = self.layout.decode(dtype).view(len(self.order), -1, self.shape[1])
        place = self.order.long()[:, None].expand_as(stored)
        return torch.empty_like(stored).scatter_(2, place, stored).view(self.shape)

"""A matrix as a product of two narrow ones: what an adapter adds to a weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRank:
    """left @ right, (rows, columns). left: (rows, rank). right: (rank, columns).

    group: (rows) int64; None: of all rows one. With several groups, as of stacked experts, right is
    (groups * rank, columns), and a row is multiplied with its group's part of it.

    Rules of checkpoints change it as they change a weight. It is no layout that kernels read.
    """

    left: Tensor
    right: Tensor
    group: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.left.shape[0], self.right.shape[1])

    @property
    def rank(self) -> int:
        return self.left.shape[1]

    def to(self, device: torch.device) -> LowRank:
        """The same on a device."""
        group = None if self.group is None else self.group.to(device)
        return LowRank(self.left.to(device), self.right.to(device), group)

    def rows(self, index: slice | Tensor) -> LowRank:
        """Some of its rows, in this order."""
        group = None if self.group is None else self.group[index]
        return LowRank(self.left[index], self.right, group)

    def turned(self) -> LowRank:
        """The transpose. Raises ValueError for one with groups."""
        if self.group is not None:
            raise ValueError("an adapter's matrices of experts cannot be transposed")
        return LowRank(self.right.T, self.left.T)

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """(rows, columns)."""
        left, right = self.left.to(dtype), self.right.to(dtype)
        if self.group is None:
            return left @ right
        parts = right.unflatten(0, (-1, self.rank))
        return torch.einsum("nr,nrc->nc", left, parts[self.group])

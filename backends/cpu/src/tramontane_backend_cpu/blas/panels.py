"""Plain matrices in panels: of PANEL rows the numbers of each column side by side.

So few vectors are multiplied column by column, a row in each lane, in the order in which BLAS
libraries add; and a panel is the second matrix of a product, (columns, PANEL), row-major. The last
panel is filled up with rows of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tramontane_backend_cpu.kernels.blas import PANEL


@dataclass(frozen=True)
class Panels:
    """A matrix (rows, columns) in panels. data: (panels, columns, PANEL)."""

    data: Tensor
    count: int
    """Rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, self.data.shape[1])

    @property
    def kind(self) -> str:
        return str(self.data.dtype).removeprefix("torch.")

    def tensors(self) -> dict[str, Tensor]:
        return {"data": self.data}

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The matrix as it was."""
        return self.data.transpose(1, 2).reshape(-1, self.data.shape[1])[: self.count].to(dtype)

    def rows(self, index: Tensor | slice) -> Panels:
        """Some of the rows, copied."""
        return panels(self.decode(self.data.dtype)[index])


def panels(matrix: Tensor) -> Panels:
    """matrix: (rows, columns) of any plain type."""
    rows, columns = matrix.shape
    count = -(-rows // PANEL)
    data = torch.zeros(count, columns, PANEL, dtype=matrix.dtype)
    for number in range(count):
        part = matrix[number * PANEL : (number + 1) * PANEL]
        data[number, :, : len(part)] = part.T
    return Panels(data, rows)

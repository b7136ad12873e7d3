"""Parts of encoders of pictures that families share."""

from __future__ import annotations

import torch
from tramontane.blocks.vision import joined


def test_squares_of_patches_are_joined_row_by_row() -> None:
    x = torch.arange(8.0)[:, None] * torch.tensor([1.0, 10.0])  # 2 rows of 4 patches
    found = joined(x, 2, 2)
    assert found.tolist() == [[0, 0, 1, 10, 4, 40, 5, 50], [2, 20, 3, 30, 6, 60, 7, 70]]
    assert torch.equal(joined(x, 2, 1), x)

"""Ids that a table has no vector for have that of id 0, where the model says so."""

from __future__ import annotations

import pytest
import torch
from tramontane.blocks import Embedding


def test_ids_without_a_vector() -> None:
    table, strict = Embedding(3, 2, others=True), Embedding(3, 2)
    for each in (table, strict):
        each.weight.data[:] = torch.arange(6.0).view(3, 2)
    assert table(torch.tensor([2, 3, 99, 1])).tolist() == [[4, 5], [0, 1], [0, 1], [2, 3]]
    with pytest.raises(IndexError):
        strict(torch.tensor([3]))

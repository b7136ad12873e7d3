"""Columns of layouts, and of blocks in a file, are those of the decoded matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tramontane.block_format import Plain, Stored
from tramontane.layouts import Dense, Layout, Permuted, column_step, columns
from tramontane.parallel.cut import Cut
from tramontane.testing.tiny_model import LAYOUTS


@pytest.mark.parametrize("kind", LAYOUTS)
def test_columns_of_a_layout(kind: str) -> None:
    weight = torch.randn(24, 512, generator=torch.Generator().manual_seed(1))
    layout: Layout = LAYOUTS[kind](weight)
    step = column_step(layout)
    if isinstance(layout, Permuted):
        assert step is None
        with pytest.raises(ValueError, match="no whole groups"):
            columns(layout, 0, 256)
        return
    assert step is not None
    start = step * (128 // step)
    found = columns(layout, start, 512)
    assert found.shape == (24, 512 - start)
    assert torch.equal(found.decode(), layout.decode()[:, start:])
    if step > 1:
        with pytest.raises(ValueError, match="no whole groups"):
            columns(layout, 1, 512)


def stored(rows: int, wide: int) -> Stored:
    raw = np.arange(rows * wide, dtype=np.float32).view(np.uint8)

    def translate(part: object, count: int, each: int) -> Layout:
        data = np.frombuffer(bytes(part[:]), np.float32)  # type: ignore[index]
        return Dense(torch.from_numpy(data.copy()).view(count, each))

    return Stored(raw, (rows, wide), Plain(torch.float32), translate)


def test_columns_of_a_file_with_rows_in_another_order() -> None:
    matrix = stored(10, 8).rows(torch.tensor([7, 1, 4]))
    whole = torch.arange(80.0).view(10, 8)
    assert torch.equal(matrix.columns(2, 5).decode(), whole[[7, 1, 4], 2:5])


def test_a_strip_may_be_read_in_pieces() -> None:
    raw = stored(10, 8).columns(1, 4).raw
    whole = raw[0 : len(raw)].copy()
    for start, stop in ((0, 7), (5, 50), (13, 120)):
        assert np.array_equal(raw[start:stop], whole[start:stop])


@pytest.mark.parametrize("pieces", [1, 4])
def test_stacked_matrices_are_each_cut(pieces: int) -> None:
    whole = torch.randn(4 * 6, 5)
    cut = Cut(rows=(range(1, 3), range(5, 6)), count=4)
    parts: list[Layout] = [Dense(part) for part in whole.chunk(pieces)]
    found = torch.cat([part.decode() for part in cut.of(parts)])
    assert torch.equal(found, whole.view(4, 6, 5)[:, [1, 2, 5]].flatten(0, 1))

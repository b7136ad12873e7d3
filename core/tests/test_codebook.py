"""Codes that name the numbers of a table: decode is the formula, rows and stacks keep the table."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tramontane.layouts import Codebook, below, float_table, nbytes, pack

TABLE = torch.tensor([-1.0, -0.5, *(0.25 * i for i in range(14))])


def random_codebook(seed: int, *, levels: int = 1, rows: int = 3) -> Codebook:
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 16, (rows, 128), generator=random)
    scale, above = torch.randn(rows, 4, generator=random).half(), None
    if levels == 2:
        scale = torch.randint(-32, 32, (rows, 4), generator=random).to(torch.int8)
        above = torch.randn(rows, 2, generator=random).half()
    return Codebook(4, 32, pack(codes, 4), TABLE, scale, above)


@pytest.mark.parametrize("levels", [1, 2])
def test_decode_is_the_formula(levels: int) -> None:
    layout = random_codebook(levels, levels=levels)
    assert layout.shape == (3, 128)
    assert layout.kind == f"codebook4/g32/{levels}-level"
    weight = layout.decode()
    for row in range(3):
        for column in range(128):
            byte = int(layout.codes[0][row, column // 2])
            scale = layout.scale[row, column // 32].float()
            if layout.super_scale is not None:
                scale = scale * layout.super_scale[row, column // 64].float()
            assert weight[row, column] == TABLE[byte >> 4 * (column % 2) & 15] * scale


def test_floats_of_8_bits_are_their_own_codes() -> None:
    data = torch.randn(5, 128).to(torch.float8_e4m3fn)
    table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    scale = torch.rand(5, 1)
    layout = Codebook(8, 128, (data.view(torch.uint8),), table, scale)
    assert torch.equal(layout.decode(), data.float() * scale)


def test_rows_keep_the_table() -> None:
    layout = random_codebook(3, rows=20)
    order = torch.tensor([19, 0, 7])
    assert torch.equal(layout.rows(order).decode(), layout.decode()[order])
    assert layout.rows(slice(16, 20)).shape == (4, 128)
    assert layout.rows(slice(16, 20)).table is layout.table


def test_stacks_keep_the_table() -> None:
    parts = [random_codebook(seed, levels=2) for seed in (1, 2)]
    joined = below(parts)
    assert torch.equal(joined.decode(), torch.cat([part.decode() for part in parts]))
    assert nbytes(joined) == sum(nbytes(part) for part in parts) - 64
    with pytest.raises(ValueError, match="tables of their own"):
        below([parts[0], replace(parts[1], table=TABLE + 1)])


def test_stacks_of_8_bit_floats() -> None:
    table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2).float()
    assert table.isnan().any()
    part = Codebook(8, 32, (torch.full((2, 32), 60, dtype=torch.uint8),), table, torch.ones(2, 1))
    assert torch.equal(below([part, part]).decode(), torch.ones(4, 32))


def test_tables_of_small_floats() -> None:
    assert float_table("e2m1").tolist()[:8] == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert float_table("e2m3")[[1, 8, 31, 32, 63]].tolist() == [0.125, 1, 7.5, 0, -7.5]
    assert float_table("e3m2")[[1, 4, 31, 63]].tolist() == [0.0625, 0.25, 28, -28]
    assert float_table("e4m3")[[1, 126, 254]].tolist() == [2**-9, 448, -448]
    assert float_table("e5m2")[[1, 123, 251]].tolist() == [2**-16, 57344, -57344]

"""Matrices whose scales belong to some rows and one column, against the reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import RowGroups, pack
from tramontane_backend_cpu.eager import embed_grouped, multiply_grouped
from tramontane_backend_cpu.row_groups import can_group, grouped
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.target import SET

from .matrices import quantizing

TOKENS = (1, 3, 2 * SET.tile + 1)
CASES = [
    (4, (64, 128), 4, torch.float16), (4, (50, 72), 7, torch.float32),
    (8, (33, 384), 2, torch.bfloat16), (3, (21, 48), 21, torch.float16),
    (2, (300, 256), 5, torch.float32),
]  # fmt: skip


def layout(bits: int, shape: tuple[int, int], groups: int, dtype: torch.dtype) -> RowGroups:
    """Rows of a group lie apart, some groups may have none."""
    random = torch.Generator().manual_seed(bits + groups)
    codes = torch.randint(0, 1 << bits, shape, generator=random)
    scale = torch.rand(groups, shape[1], generator=random) + 0.5
    zero = torch.rand(groups, shape[1], generator=random) * (1 << bits)
    group_of = torch.randint(0, groups, (shape[0],), generator=random).int()
    return RowGroups(bits, pack(codes, bits), scale.to(dtype), zero.to(dtype), group_of)


def allowed(x: Tensor, weight: RowGroups, exact: bool) -> Tensor:
    """What rounding may do: code and offset are multiplied apart, and a group's vector is scaled
    before it is quantized."""
    own = weight.group_of.long()
    scaled = x.double()[:, None] * weight.scale.double()  # (tokens, groups, columns)
    most = float(1 << weight.bits)
    size = scaled.abs().sum(-1)[:, own] * 2 * most
    bound = (x.shape[1] + 4) * 8 * torch.finfo(torch.float32).eps * (size + 1e-6)
    if not exact:
        for group in range(len(weight.scale)):
            rows = own == group
            codes = torch.full((int(rows.sum()), x.shape[1]), most)
            bound[:, rows] += quantizing(scaled[:, group].float(), codes)
    return bound


@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize(("bits", "shape", "groups", "dtype"), CASES)
def test_products(
    bits: int, shape: tuple[int, int], groups: int, dtype: torch.dtype, exact: bool
) -> None:
    weight = layout(bits, shape, groups, dtype)
    assert can_group(weight)
    made: Any = grouped(weight, shared_pool(2))
    assert made.shape == shape
    x = torch.randn(TOKENS[-1], shape[1])
    together = multiply_grouped(exact, shared_pool(2))(x, made)
    expected = x.double() @ weight.decode(torch.float64).T
    assert ((together - expected).abs() <= allowed(x, weight, exact)).all()
    for threads in (1, 2, 3):
        multiply = multiply_grouped(exact, shared_pool(threads))
        for tokens in TOKENS:
            assert torch.equal(multiply(x[:tokens], made), together[:tokens])


def test_rows_of_a_table_are_exact() -> None:
    weight = layout(4, (50, 72), 7, torch.float16)
    made: Any = grouped(weight, shared_pool(2))
    tokens = torch.tensor([0, 49, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    assert torch.equal(embed_grouped(tokens, made, torch.float32), expected)


def test_memory_is_the_layouts() -> None:
    weight = layout(4, (2048, 2048), 32, torch.float16)
    made = grouped(weight, shared_pool(2))
    before = sum(tensor.nbytes for tensor in weight.tensors().values())
    assert sum(tensor.nbytes for tensor in made.tensors().values()) <= 1.25 * before


def test_what_has_no_kernel() -> None:
    assert not can_group(layout(4, (32, 64), 2, torch.float64))

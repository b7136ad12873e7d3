"""What layouts can say beside one scale per group: decode is the formula, rows and stacks agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from tramontane.checkpoint.layout_checks import check_layout
from tramontane.layouts import (
    PLANES,
    Affine,
    Codebook,
    Dense,
    Layout,
    Permuted,
    RowGroups,
    below,
    contiguous,
    pack,
)

ROWS, COLUMNS, GROUP = 6, 64, 16
RANDOM = torch.Generator().manual_seed(0)


def codes_of(bits: int) -> Tensor:
    return torch.randint(0, 1 << bits, (ROWS, COLUMNS), generator=RANDOM)


def scales(groups: int = COLUMNS // GROUP, rows: int = ROWS) -> Tensor:
    return torch.randn(rows, groups, generator=RANDOM)


def wide(numbers: Tensor) -> Tensor:
    return numbers.float().repeat_interleave(COLUMNS // numbers.shape[1], 1)


def affine(zero: Tensor | int = 8, **more: object) -> tuple[Affine, Tensor, Tensor]:
    codes, scale = codes_of(4), scales().half()
    return Affine(4, GROUP, pack(codes, 4), scale, zero, **more), codes, scale  # type: ignore[arg-type]


def permuted(parts: int = 1) -> Permuted:
    order = torch.stack([torch.randperm(COLUMNS, generator=RANDOM) for _ in range(parts)])
    return Permuted(affine()[0], order.int())


def row_groups() -> RowGroups:
    group_of = torch.arange(ROWS, dtype=torch.int32) % 2
    numbers = scales(COLUMNS, 2), scales(COLUMNS, 2)
    return RowGroups(4, pack(codes_of(4), 4), *numbers, group_of)


def codebook(bits: int, **more: object) -> Codebook:
    table = torch.randn(1 << bits, generator=RANDOM)
    scale = scales().to(torch.float8_e4m3fn)
    return Codebook(bits, GROUP, pack(codes_of(bits), bits), table, scale, **more)  # type: ignore[arg-type]


def every_layout() -> dict[str, Layout]:
    whole = torch.randint(0, 16, (ROWS, COLUMNS // GROUP), generator=RANDOM).to(torch.uint8)
    return {
        "whole zeros": affine(whole)[0],
        "fractional zeros": affine(scales())[0],
        "permuted": permuted(),
        "permuted in parts": permuted(3),
        "row groups": row_groups(),
        "divided": codebook(4, super_scale=scales(1), super_divides=True),
        **{f"codebook{bits}": codebook(bits) for bits in PLANES},
    }


@pytest.mark.parametrize("fractions", [False, True])
def test_each_group_has_a_zero(fractions: bool) -> None:
    zero = scales() if fractions else torch.arange(24).view(ROWS, 4).to(torch.uint8) % 16
    layout, codes, scale = affine(zero)
    assert torch.equal(layout.decode(), (codes - wide(zero)) * wide(scale))
    assert layout.kind == "affine4/g16/1-level/zeros"


def test_a_factor_is_multiplied_last() -> None:
    layout, codes, scale = affine(0, factor=1 / 127)
    assert torch.equal(layout.decode(), codes.float() * wide(scale) * (1 / 127))


def test_results_are_rounded_as_the_library_rounds_them() -> None:
    minimum = scales().half()
    layout, codes, scale = affine(0, minimum=minimum, rounded=torch.float16)
    product = (codes * wide(scale)).half()
    assert torch.equal(layout.decode(torch.float16), product + wide(minimum).half())
    assert not torch.equal(layout.decode(), replace(layout, rounded=None).decode())


def test_a_difference_is_rounded_before_its_product() -> None:
    zero = scales()
    layout, codes, scale = affine(zero, rounded=torch.bfloat16)
    apart = (codes - wide(zero)).bfloat16()
    assert torch.equal(layout.decode(torch.bfloat16), (apart.float() * wide(scale)).bfloat16())


def test_super_scales_divide() -> None:
    layout = codebook(4, super_scale=scales(1), super_divides=True)
    assert layout.super_scale is not None
    codes = replace(layout, scale=torch.ones(ROWS, 4), super_scale=None).decode()
    assert torch.equal(layout.decode(), codes * wide(layout.scale.float() / layout.super_scale))


@pytest.mark.parametrize("bits", sorted(PLANES))
def test_codebooks_have_as_many_numbers_as_codes(bits: int) -> None:
    codes = codes_of(bits)
    table = torch.randn(1 << bits, generator=RANDOM)
    layout = Codebook(bits, COLUMNS, pack(codes, bits), table, torch.ones(ROWS, 1))
    assert torch.equal(layout.decode(), table[codes])


def test_columns_come_back_in_the_matrix_order() -> None:
    layout = permuted()
    stored, order = layout.layout.decode(), layout.order[0].long()
    assert torch.equal(layout.decode()[:, order], stored)
    x = torch.randn(COLUMNS, generator=RANDOM)
    torch.testing.assert_close(stored @ x[order], layout.decode() @ x)


def test_groups_of_rows_share_scales_column_by_column() -> None:
    layout = row_groups()
    codes = replace(layout, scale=torch.ones(2, COLUMNS), zero=torch.zeros(2, COLUMNS)).decode()
    for row in range(ROWS):
        expected = (codes[row] - layout.zero[row % 2]) * layout.scale[row % 2]
        assert torch.equal(layout.decode()[row], expected)


@pytest.mark.parametrize("name", every_layout())
def test_rows_are_those_of_the_matrix(name: str) -> None:
    layout = every_layout()[name]
    weight = layout.decode()
    assert check_layout(layout, (ROWS, COLUMNS)) == ""
    for index in (torch.tensor([4, 0, 4]), slice(2, 4), slice(0, 2), slice(1, 6)):
        assert torch.equal(layout.rows(index).decode(), weight[index]), index
    assert torch.equal(contiguous(layout).decode(), weight)


@pytest.mark.parametrize("name", every_layout())
def test_matrices_below_each_other(name: str) -> None:
    layout = every_layout()[name]
    pair = below([layout, layout])
    assert torch.equal(pair.decode(), torch.cat([layout.decode()] * 2))
    assert check_layout(pair, (2 * ROWS, COLUMNS)) == ""


def test_orders_of_their_own_stay_apart_below_each_other() -> None:
    parts = [permuted() for _ in range(3)]
    stacked = below(parts)
    assert torch.equal(stacked.decode(), torch.cat([part.decode() for part in parts]))
    one = stacked.rows(slice(ROWS, 2 * ROWS))
    assert isinstance(one, Permuted)
    assert torch.equal(one.decode(), parts[1].decode())
    assert isinstance(stacked.rows(slice(1, 2 * ROWS)), Dense)


@pytest.mark.parametrize(
    "other",
    [{"factor": 2.0}, {"rounded": torch.float16}, {"zero": 7}],
    ids=["factor", "rounded", "zero"],
)
def test_what_is_not_stored_alike_does_not_go_together(other: dict[str, object]) -> None:
    layout = affine(8)[0]
    with pytest.raises(ValueError, match="not stored alike"):
        below([layout, replace(layout, **other)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        (affine(scales(2))[0], "zeros are"),
        (Permuted(affine()[0], torch.zeros(1, COLUMNS, dtype=torch.int32)), "columns once"),
        (Permuted(affine()[0], torch.arange(COLUMNS)[None]), "int32"),
        (Permuted(affine()[0], permuted(4).order), "4 parts"),
        (replace(row_groups(), group_of=torch.full((ROWS,), 2, dtype=torch.int32)), "from 0 to 1"),
        (codebook(4, super_scale=scales(3)), "super scales"),
        (affine(scales() / 0)[0], "not numbers"),
    ],
    ids=["zeros", "twice", "int64", "parts", "group", "super", "nan"],
)  # fmt: skip
def test_impossible_layouts_are_told(layout: Layout, why: str) -> None:
    assert why in check_layout(layout, (ROWS, COLUMNS))


def test_one_zero_for_all_stacks_with_a_zero_for_each_group() -> None:
    each = torch.full((ROWS, COLUMNS // GROUP), 3, dtype=torch.uint8)
    parts = [affine()[0], affine(each)[0], affine()[0]]
    stacked = below(parts)
    assert stacked.kind.endswith("/zeros")
    assert torch.equal(stacked.decode(), torch.cat([part.decode() for part in parts]))

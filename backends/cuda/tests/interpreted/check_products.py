"""Products with every layout against the reference, over shapes that are convenient for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import PLANES, Affine, Codebook, Dense, Layout, Permuted, pack
from tramontane.layouts.low_rank import LowRank
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import LAYOUTS
from tramontane_backend_cuda.card import Card
from tramontane_backend_cuda.operand import has_kernel, operand_of, split_of
from tramontane_backend_cuda.products import Multiply, multiply_any, tiles_of

from .conftest import FULL

SHAPES = [(7, 256), (33, 768), (300, 512)] if FULL else [(33, 768)]
TOKENS = (1, 3, 35)
CASES = [
    (bits, group, levels, offset)
    for bits in PLANES
    for group, levels, offset in ((16, 1, "zero"), (64, 2, "minimum"), (128, 1, "zeros"))
]


def affine(
    bits: int, group: int, levels: int, offset: str, shape: tuple[int, int], **more: Any
) -> Affine:
    """Random codes, scales and what stands beside them."""
    rows, columns = shape
    random = torch.Generator().manual_seed(bits * group + levels + rows)
    codes = torch.randint(0, 1 << bits, shape, generator=random)
    size = (rows, columns // group)
    scale = torch.randn(size, generator=random).half()
    zero: Any = 1 << (bits - 1) if offset == "zero" else 0
    if offset == "zeros":
        zero = torch.randint(0, 1 << bits, size, generator=random).to(torch.uint8)
    minimum = torch.randn(size, generator=random).half() if offset == "minimum" else None
    above = above_minimum = None
    if levels == 2:
        scale = torch.randint(-32, 32, size, generator=random).to(torch.int8)
        above = torch.randn(rows, columns // 256, generator=random).half()
        if minimum is not None:
            minimum = torch.randint(0, 64, size, generator=random).to(torch.uint8)
            above_minimum = torch.randn(rows, 1, generator=random).half()
    planes = pack(codes, bits)
    return Affine(bits, group, planes, scale, zero, minimum, above, above_minimum, **more)


def check(weight: Layout, card: Card, tokens: int, dtype: torch.dtype = torch.float32) -> None:
    x = torch.randn(tokens, weight.shape[1], generator=torch.Generator().manual_seed(tokens))
    got = Multiply(card)(x.to(dtype), weight)
    assert got.dtype == dtype
    expected = reference.linear(x.to(dtype).float(), weight)
    allowed = 1e-5 if dtype == torch.float32 else 2e-2 if dtype == torch.bfloat16 else 2e-3
    assert relative(got, expected) < allowed


@pytest.mark.parametrize(("bits", "group", "levels", "offset"), CASES)
def test_integers(card: Card, bits: int, group: int, levels: int, offset: str) -> None:
    for shape in SHAPES:
        weight = affine(bits, group, levels, offset, shape)
        for tokens in TOKENS:
            check(weight, card, tokens)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(card: Card, layout: str) -> None:
    weight = LAYOUTS[layout](torch.randn(33, 768, generator=torch.Generator().manual_seed(1)))
    for tokens in TOKENS:
        check(weight, card, tokens)
    check(weight, card, 3, torch.float16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rows_of_16_bits(card: Card, dtype: torch.dtype) -> None:
    check(affine(4, 32, 1, "zero", (40, 512)), card, 20, dtype)


def test_a_factor_of_the_whole_matrix(card: Card) -> None:
    check(affine(4, 32, 1, "minimum", (21, 256), factor=0.37), card, 2)


@pytest.mark.parametrize("group", [24, 40, 120])
def test_groups_that_are_no_power_of_two(card: Card, group: int) -> None:
    check(affine(8, group, 1, "zero", (21, 2 * 120)), card, 3)


def test_columns_that_are_no_whole_tile(card: Card) -> None:
    check(affine(4, 16, 1, "minimum", (21, 48)), card, 5)
    check(Dense(torch.randn(5, 37)), card, 5)


def test_scales_under_a_divisor(card: Card) -> None:
    made = LAYOUTS["codebook4"](torch.randn(9, 256))
    assert isinstance(made, Codebook)
    divisor = torch.rand(9, 1) + 0.5
    told = Codebook(4, 32, made.codes, made.table, made.scale, divisor, super_divides=True)
    check(told, card, 3)


def test_orders_of_parts(card: Card) -> None:
    """Matrices with orders of their own below each other; those whose tiles would cross have no
    kernel."""
    orders = torch.stack([torch.randperm(64) for _ in range(2)]).int()
    stored = affine(4, 32, 1, "zeros", (1024, 64))
    check(Permuted(stored, orders), card, 3)
    small = Permuted(affine(4, 32, 1, "zeros", (80, 64)), orders)
    assert not has_kernel(small)
    assert has_kernel(small, 2)
    x, counts = torch.randn(9, 64), torch.tensor([4, 5])
    got = Multiply(card, 2).grouped(x, counts, small)
    assert relative(got, reference.grouped_linear(x, counts, small)) < 1e-5


@pytest.mark.parametrize("counts", [[0, 1, 0, 0], [3, 0, 37, 5], [0, 0, 0, 0], [16, 1, 64, 0]])
@pytest.mark.parametrize("layout", ["float32", "affine4", "affine4-two-level", "codebook4"])
def test_matrices_of_experts(card: Card, layout: str, counts: list[int]) -> None:
    weight = LAYOUTS[layout](torch.randn(4 * 20, 256))
    x, rows = torch.randn(sum(counts), 256), torch.tensor(counts)
    got = Multiply(card, 4).grouped(x, rows, weight)
    expected = reference.grouped_linear(x, rows, weight)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("counts", [[5], [0, 0, 7], [16, 17, 0, 1], [1] * 9, [0, 40]])
def test_tiles_have_each_row_once(counts: list[int]) -> None:
    tiles = tiles_of(torch.tensor(counts), sum(counts), 16).tolist()
    matrix = [m for m, count in enumerate(counts) for _ in range(count)]
    rows = [(row, m) for m, first, end in tiles for row in range(first, min(first + 16, end))]
    assert sorted(rows) == list(enumerate(matrix))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rows_of_a_table(card: Card, layout: str, dtype: torch.dtype) -> None:
    table = LAYOUTS[layout](torch.randn(50, 256, generator=torch.Generator().manual_seed(2)))
    ids = torch.tensor([3, 0, 49, 3, *range(20)])
    expected = reference.embedding(ids, table, dtype)
    torch.testing.assert_close(Multiply(card).embed(ids, table, dtype), expected)


@pytest.mark.parametrize("grouped", [False, True])
def test_pairs_of_adapters(card: Card, grouped: bool) -> None:
    groups = torch.arange(40) // 20 if grouped else None
    pair = LowRank(torch.randn(40, 8), torch.randn(16 if grouped else 8, 96), groups)
    x = torch.randn(5, 96)
    assert relative(multiply_any(card)(x, pair), x @ pair.decode().T) < 1e-5


def test_splits_follow_from_the_matrix_alone() -> None:
    assert split_of(32 * 256, 4096) == 4096
    assert split_of(1024, 4096) == 512
    assert all(split_of(rows, 11008) % 256 == 0 for rows in (1, 100, 4096))


CLASSES = {"split": (20, 1536), "whole": (20, 256)}


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("shape", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("case", [(4, 32, 1, "zero"), (6, 16, 2, "minimum")])
def test_a_row_has_the_same_bits_in_any_company(
    card: Card, case: tuple[int, int, int, str], shape: tuple[int, int]
) -> None:
    """Few rows and many, whose splits are programs of their own or not."""
    weight = affine(*case, shape)
    assert (operand_of(weight).splits > 1) == (shape[1] > 512)
    x = torch.randn(40, shape[1])
    together = Multiply(card)(x, weight)
    for first, count in ((0, 1), (5, 7), (20, 16), (3, 30)):
        own = Multiply(card)(x[first : first + count], weight)
        assert torch.equal(own, together[first : first + count])


@pytest.mark.usefixtures("in_order")
def test_an_experts_row_has_the_same_bits_in_any_company(card: Card) -> None:
    weight = affine(4, 32, 1, "zero", (2 * 20, 256))
    x = torch.randn(80, 256)
    together = Multiply(card, 2).grouped(x, torch.tensor([70, 10]), weight)
    few = Multiply(card, 2).grouped(x[66:73], torch.tensor([4, 3]), weight)
    assert torch.equal(few, together[66:73])


def test_numbers_that_are_not_finite_stay_in_their_row(card: Card) -> None:
    weight, x = affine(4, 32, 1, "zero", (40, 256)), torch.randn(20, 256)
    expected = Multiply(card)(x, weight)
    x[1, 77] = torch.nan
    got: Tensor = Multiply(card)(x, weight)
    assert got[1].isnan().all()
    others = [0, *range(2, 20)]
    assert torch.equal(got[others], expected[others])

"""Products with every layout against the reference, over shapes that are convenient for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane import reference
from tramontane.layouts import PLANES, Affine, Codebook, Dense, Layout, Permuted, pack
from tramontane.layouts.low_rank import LowRank
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import LAYOUTS
from tramontane_backend_opencl.memory import OpenclDevice
from tramontane_backend_opencl.products import Multiply, multiply_any, tiles_of
from tramontane_backend_opencl.put_kernels import moved

from .conftest import FULL

SHAPES = [(7, 256), (33, 768), (300, 512)] if FULL else [(33, 768)]
TOKENS = (1, 2, 3, 35) if FULL else (1, 35)
GROUPS = ((16, 1, "zero"), (64, 2, "minimum"), (128, 1, "zeros"))
CASES = [
    (bits, group, levels, offset)
    for index, bits in enumerate(PLANES)
    for group, levels, offset in (GROUPS if FULL else GROUPS[index % 3 : index % 3 + 1])
]
KINDS = LAYOUTS if FULL else (
    "float32", "bfloat16", "float16", "affine4-fractions", "affine4-permuted",
    "affine4-row-groups", "codebook4", "codebook4-float8-scales", "float8",
)  # fmt: skip
"""Those that the cases of integers have not, in short runs."""


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


def check(
    weight: Layout, device: OpenclDevice, tokens: int, dtype: torch.dtype = torch.float32
) -> None:
    x = torch.randn(tokens, weight.shape[1], generator=torch.Generator().manual_seed(tokens))
    name = f"ocl:{device.index}"
    got = Multiply(device)(x.to(dtype).to(name), moved(weight, name))
    assert got.dtype == dtype
    expected = reference.linear(x.to(dtype).float(), weight)
    allowed = 1e-5 if dtype == torch.float32 else 1e-2 if dtype == torch.bfloat16 else 1e-3
    assert relative(got.float(), expected) < allowed


@pytest.mark.parametrize(("bits", "group", "levels", "offset"), CASES)
def test_integers(device: OpenclDevice, bits: int, group: int, levels: int, offset: str) -> None:
    for shape in SHAPES:
        weight = affine(bits, group, levels, offset, shape)
        for tokens in TOKENS:
            check(weight, device, tokens)


@pytest.mark.parametrize("layout", KINDS)
def test_every_layout(device: OpenclDevice, layout: str) -> None:
    weight = LAYOUTS[layout](torch.randn(33, 768, generator=torch.Generator().manual_seed(1)))
    for tokens in TOKENS:
        check(weight, device, tokens)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rows_of_16_bits(device: OpenclDevice, dtype: torch.dtype) -> None:
    check(affine(4, 32, 1, "zero", (40, 512)), device, 20, dtype)


def test_a_factor_of_the_whole_matrix(device: OpenclDevice) -> None:
    check(affine(4, 32, 1, "minimum", (21, 256), factor=0.37), device, 2)


@pytest.mark.parametrize("group", [24, 40, 120] if FULL else [24])
def test_groups_that_are_no_multiple_of_16(device: OpenclDevice, group: int) -> None:
    check(affine(8, group, 1, "zero", (21, 2 * 120)), device, 1)


def test_columns_that_are_no_whole_unit(device: OpenclDevice) -> None:
    check(affine(4, 8, 1, "minimum", (21, 40)), device, 5)
    check(Dense(torch.randn(5, 37)), device, 5)


def test_scales_under_a_divisor(device: OpenclDevice) -> None:
    made = LAYOUTS["codebook4"](torch.randn(9, 256))
    assert isinstance(made, Codebook)
    divisor = torch.rand(9, 1) + 0.5
    told = Codebook(4, 32, made.codes, made.table, made.scale, divisor, super_divides=True)
    check(told, device, 3)


def test_orders_of_parts(device: OpenclDevice) -> None:
    """Matrices with orders of their own below each other, as one and as experts'."""
    orders = torch.stack([torch.randperm(64) for _ in range(2)]).int()
    weight = Permuted(affine(4, 32, 1, "zeros", (80, 64)), orders)
    check(weight, device, 3)
    x, counts, name = torch.randn(9, 64), torch.tensor([4, 5]), f"ocl:{device.index}"
    got = Multiply(device).grouped(x.to(name), counts, moved(weight, name))
    assert relative(got, reference.grouped_linear(x, counts, weight)) < 1e-5


@pytest.mark.parametrize("layout", ["float32", "affine4"])
def test_matrices_of_experts(device: OpenclDevice, layout: str) -> None:
    weight, name = LAYOUTS[layout](torch.randn(4 * 20, 256)), f"ocl:{device.index}"
    there = moved(weight, name)
    for counts in ([0, 1, 0, 0], [3, 0, 37, 5], [0, 0, 0, 0], [16, 1, 64, 0]):
        x, rows = torch.randn(sum(counts), 256), torch.tensor(counts)
        got = Multiply(device).grouped(x.to(name), rows, there).cpu()
        expected = reference.grouped_linear(x, rows, weight)
        assert got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("counts", [[5], [0, 0, 7], [16, 17, 0, 1], [1] * 9, [0, 40], []])
def test_tiles_have_each_row_once(counts: list[int]) -> None:
    tiles = tiles_of(counts, 4).tolist()
    matrix = [m for m, count in enumerate(counts) for _ in range(count)]
    rows = [(row, m) for m, first, end in tiles for row in range(first, min(first + 4, end))]
    assert rows == list(enumerate(matrix))


@pytest.mark.parametrize("layout", LAYOUTS if FULL else ["float32", "affine6", "affine4-permuted"])
def test_rows_of_a_table(device: OpenclDevice, layout: str) -> None:
    name = f"ocl:{device.index}"
    table = LAYOUTS[layout](torch.randn(50, 256, generator=torch.Generator().manual_seed(2)))
    ids = torch.tensor([3, 0, 49, 3, *range(20)])
    for dtype in (torch.float32, torch.float16):
        expected = reference.embedding(ids, table, dtype)
        got = Multiply(device).embed(ids.to(name), moved(table, name), dtype)
        torch.testing.assert_close(got.cpu(), expected)


@pytest.mark.parametrize("grouped", [False, True])
def test_pairs_of_adapters(device: OpenclDevice, grouped: bool) -> None:
    groups = torch.arange(40) // 20 if grouped else None
    pair = LowRank(torch.randn(40, 8), torch.randn(16 if grouped else 8, 96), groups)
    x, name = torch.randn(5, 96), f"ocl:{device.index}"
    there = LowRank(
        pair.left.to(name), pair.right.to(name), None if groups is None else groups.to(name)
    )
    got = multiply_any(device)(x.to(name), there)
    assert relative(got, x @ pair.decode().T) < 1e-5


@pytest.mark.parametrize("case", [(4, 32, 1, "zero"), (6, 16, 2, "minimum")])
def test_a_row_has_the_same_bits_in_any_company(
    device: OpenclDevice, case: tuple[int, int, int, str]
) -> None:
    """One row, two, and many, which share decoded weights."""
    name = f"ocl:{device.index}"
    weight = moved(affine(*case, (20, 1536)), name)
    x = torch.randn(40, 1536).to(name)
    together = Multiply(device)(x, weight).cpu()
    for first, count in ((0, 1), (5, 7), (20, 16), (3, 30), (11, 2)):
        own = Multiply(device)(x[first : first + count], weight).cpu()
        assert torch.equal(own, together[first : first + count])


def test_an_experts_row_has_the_same_bits_in_any_company(device: OpenclDevice) -> None:
    name = f"ocl:{device.index}"
    weight, x = moved(affine(4, 32, 1, "zero", (2 * 20, 1536)), name), torch.randn(80, 1536)
    together = Multiply(device).grouped(x.to(name), torch.tensor([70, 10]), weight).cpu()
    few = Multiply(device).grouped(x[66:73].to(name), torch.tensor([4, 3]), weight).cpu()
    assert torch.equal(few, together[66:73])


def test_numbers_that_are_not_finite_stay_in_their_row(device: OpenclDevice) -> None:
    name = f"ocl:{device.index}"
    weight, x = moved(affine(4, 32, 1, "zero", (20, 1536)), name), torch.randn(20, 1536)
    expected = Multiply(device)(x.to(name), weight).cpu()
    x[1, 77] = torch.nan
    got = Multiply(device)(x.to(name), weight).cpu()
    assert got[1].isnan().all()
    others = [0, *range(2, 20)]
    assert torch.equal(got[others], expected[others])

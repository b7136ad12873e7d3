"""Packed matrices against the reference, over shapes that are convenient for nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import PLANES, Affine
from tramontane_backend_cpu.eager import embed_packed, multiply_packed
from tramontane_backend_cpu.packing import Interleaved, can_pack, pack
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.target import SET

from . import matrices

SHAPES = [(1, 128), (7, 256), (33, 384), (300, 512)]
TOKENS = (1, 3, 2 * SET.tile + 1)


def packed(weight: Affine, threads: int = 2) -> Interleaved:
    assert can_pack(weight)
    return Interleaved(pack(weight, shared_pool(threads)), weight.kind)


def multiply(x: Tensor, weight: Interleaved, *, exact: bool = False, threads: int = 2) -> Tensor:
    return multiply_packed(exact, shared_pool(threads))(x, weight)


@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize(("bits", "group", "levels", "offset"), matrices.CASES)
def test_products(bits: int, group: int, levels: int, offset: str, exact: bool) -> None:
    for shape in SHAPES:
        weight = matrices.affine(bits, group, levels, offset, shape)
        for tokens in TOKENS:
            x = torch.randn(tokens, shape[1])
            out = multiply(x, packed(weight), exact=exact)
            matrices.check(out, x, weight, exact=exact)


def test_columns_that_are_no_whole_unit() -> None:
    weight = matrices.affine(4, 16, 1, "min", (21, 48))
    x = torch.randn(5, 48)
    matrices.check(multiply(x, packed(weight)), x, weight, exact=False)


@pytest.mark.parametrize("scale", [0.0, 1e-7, 3e4])
def test_extreme_scales(scale: float) -> None:
    weight = matrices.affine(4, 32, 1, "zero", (5, 128), scale)
    x = torch.randn(2, 128)
    matrices.check(multiply(x, packed(weight)), x, weight, exact=False)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_extreme_vectors(size: float) -> None:
    weight = matrices.affine(4, 32, 1, "zero", (5, 128), 1e-3)
    x = torch.randn(3, 128) * size
    matrices.check(multiply(x, packed(weight)), x, weight, exact=False)


def test_largest_codes_do_not_overflow() -> None:
    weight = matrices.affine(8, 32, 1, "none", (17, 4096))
    full = Affine(8, 32, (torch.full((17, 4096), 255, dtype=torch.uint8),), weight.scale.abs(), 0)
    x = torch.ones(2, 4096)
    matrices.check(multiply(x, packed(full)), x, full, exact=False)
    matrices.check(multiply(-x, packed(full)), -x, full, exact=False)


@pytest.mark.parametrize("exact", [False, True])
def test_nan_stays_in_its_row(exact: bool) -> None:
    weight = packed(matrices.affine(4, 32, 1, "zero", (40, 128)))
    x = torch.randn(3, 128)
    expected = multiply(x, weight, exact=exact)
    x[1, 77] = torch.nan
    out = multiply(x, weight, exact=exact)
    assert out[1].isnan().all()
    assert torch.equal(out[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("bits", sorted(PLANES))
def test_embedding_rows(bits: int) -> None:
    weight = matrices.affine(bits, 16, 2, "min", (50, 128))
    tokens = torch.tensor([0, 49, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    out = embed_packed(tokens, packed(weight), torch.float32)
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-5)


def test_rows_that_are_not_contiguous() -> None:
    weight = matrices.affine(4, 32, 1, "zero", (9, 128))
    x = torch.randn(128, 3).T
    matrices.check(multiply(x, packed(weight)), x, weight, exact=False)


# the second shape's rows are long enough for sums to wait while other rows are done
@pytest.mark.parametrize("shape", [(150, 512), (40, 4608)], ids=["short", "long"])
@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize("case", [(4, 32, 1, "zero"), (4, 32, 2, "min"), (6, 16, 2, "zero")])
def test_a_vector_depends_on_nothing_but_itself(
    case: tuple[int, int, int, str], exact: bool, shape: tuple[int, int]
) -> None:
    weight = matrices.affine(*case, shape, supers=shape[1] // 256)
    x = torch.randn(4 * SET.tile + 3, shape[1])
    together = multiply(x, packed(weight), exact=exact)
    matrices.check(together, x, weight, exact=exact)
    random = torch.Generator().manual_seed(1)
    for threads in (1, 2, 3):
        repacked = packed(weight, threads)
        for _ in range(12):
            count = int(torch.randint(1, len(x), (), generator=random))
            rows = torch.randperm(len(x), generator=random)[:count]
            out = multiply(x[rows], repacked, exact=exact, threads=threads)
            assert torch.equal(out, together[rows]), (threads, rows)


def test_repacking_adds_little() -> None:
    for bits, group, levels, offset in matrices.CASES:
        weight = matrices.affine(bits, group, levels, offset, (320, 512))
        before = sum(tensor.nbytes for tensor in weight.tensors().values())
        assert packed(weight).packed.nbytes <= 1.05 * before

"""Zeros of groups, scales of every kind, divisors and factors: against the reference."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import Affine, Codebook, pack
from tramontane_backend_cpu import packing
from tramontane_backend_cpu.eager import embed_packed, multiply_packed
from tramontane_backend_cpu.packing import Interleaved, can_pack
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.target import SET

from . import matrices

Made = Affine | Codebook
SHAPES = [(1, 128), (33, 384), (50, 512)]
TOKENS = (1, 3, 2 * SET.tile + 1)
E4M3, E5M2, E8M0 = torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu
HALVES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
FLOATS8 = torch.arange(256, dtype=torch.uint8).view(E4M3).float()


def randoms(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) + 0.5


def affine(bits: int, group: int, shape: tuple[int, int], **more: Any) -> Affine:
    """Random codes; scales of float16 unless told otherwise."""
    random = torch.Generator().manual_seed(bits * group)
    codes = pack(torch.randint(0, 1 << bits, shape, generator=random), bits)
    scale = more.pop("scale", None)
    if scale is None:
        scale = randoms(shape[0], shape[1] // group).half()
    return Affine(bits, group, codes, scale, **more)


def zeros(dtype: torch.dtype, bits: int, group: int, shape: tuple[int, int], **more: Any) -> Affine:
    size = (shape[0], shape[1] // group)
    random = torch.Generator().manual_seed(3)
    least = -5 if dtype == torch.int8 else 0
    zero = torch.rand(size, generator=random) * ((1 << bits) - least) + least
    return affine(bits, group, shape, zero=zero.to(dtype), **more)


def halves(shape: tuple[int, int], group: int, scale: Tensor, **more: Any) -> Codebook:
    random = torch.Generator().manual_seed(group)
    codes = pack(torch.randint(0, 16, shape, generator=random), 4)
    return Codebook(4, group, codes, HALVES, scale, **more)


def floats8(shape: tuple[int, int], group: int, scale: Tensor, **more: Any) -> Codebook:
    random = torch.Generator().manual_seed(group)
    codes = torch.randint(0, 127, shape, generator=random, dtype=torch.uint8)
    codes |= torch.randint(0, 2, shape, generator=random, dtype=torch.uint8) << 7
    return Codebook(8, group, (codes,), FLOATS8, scale, **more)


FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CASES: dict[str, Callable[[tuple[int, int]], Made]] = {
    "u8 zeros, 4 bits": lambda s: zeros(torch.uint8, 4, 128, s),
    "u8 zeros, groups of 16": lambda s: zeros(torch.uint8, 4, 16, s),
    "i8 zeros, 8 bits": lambda s: zeros(torch.int8, 8, 32, s),
    "f16 zeros, 3 bits": lambda s: zeros(torch.float16, 3, 64, s),
    "f32 zeros, 2 bits, a factor": lambda s: zeros(torch.float32, 2, 32, s, factor=0.37),
    "bf16 zeros, two levels": lambda s: zeros(
        torch.bfloat16, 4, 32, s, super_scale=randoms(s[0], s[1] // 128).half()
    ),
    "zeros and minimums": lambda s: zeros(
        torch.uint8, 4, 32, s, minimum=randoms(s[0], s[1] // 32).half()
    ),
    "a factor": lambda s: affine(4, 32, s, zero=8, factor=1.7),
    "a factor of two levels": lambda s: affine(
        4, 32, s, zero=8, factor=1.7, super_scale=randoms(s[0], 1)
    ),
    "minimums of one level": lambda s: affine(
        4, 32, s, minimum=randoms(s[0], s[1] // 32), super_scale=randoms(s[0], s[1] // 64)
    ),
    "super scales of half a unit": lambda s: affine(
        4, 16, s, zero=8, super_scale=randoms(s[0], s[1] // 16)
    ),
    "super scales of other kinds": lambda s: affine(
        5, 32, s, scale=torch.ones(s[0], s[1] // 32).to(torch.uint8), minimum=torch.ones(
            s[0], s[1] // 32).to(torch.uint8), super_scale=randoms(s[0], s[1] // 64).half(),
        super_minimum=-randoms(s[0], s[1] // 64),
    ),
    "a scale per row": lambda s: affine(8, s[1], s, zero=128, scale=randoms(s[0], 1).bfloat16()),
    "zeros per row": lambda s: zeros(torch.float16, 4, s[1], s),
    "e4m3 over f32": lambda s: halves(
        s, 16, randoms(s[0], s[1] // 16).to(E4M3), super_scale=randoms(s[0], 1)
    ),
    "e4m3 divided": lambda s: halves(
        s, 16, randoms(s[0], s[1] // 16).to(E4M3), super_scale=randoms(s[0], 1) * 900,
        super_divides=True,
    ),
    "e5m2": lambda s: halves(s, 32, randoms(s[0], s[1] // 32).to(E5M2)),
    "e8m0": lambda s: halves(s, 32, (randoms(s[0], s[1] // 32) * 8).to(E8M0)),
    "e8m0 of integers": lambda s: affine(
        4, 32, s, zero=8, scale=(randoms(s[0], s[1] // 32) * 8).to(E8M0)
    ),
    "8-bit floats, a scale per row": lambda s: floats8(s, s[1], randoms(s[0], 1)),
    "8-bit floats, blocks": lambda s: floats8(
        s, 128, randoms(-(-s[0] // 32), s[1] // 128).bfloat16().repeat_interleave(32, 0)[: s[0]]
    ),
}  # fmt: skip


def packed(weight: Made) -> Interleaved:
    assert can_pack(weight)
    return Interleaved(packing.pack(weight, shared_pool(2)), weight.kind)


@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize("case", list(CASES))
def test_products(case: str, exact: bool) -> None:
    multiply = multiply_packed(exact, shared_pool(2))
    for shape in SHAPES:
        weight = CASES[case](shape)
        made = packed(weight)
        x = torch.randn(TOKENS[-1], shape[1])
        together = multiply(x, made)
        matrices.check(together, x, weight, exact=exact)
        for tokens in TOKENS[:-1]:  # and what a row becomes depends on nothing but itself
            assert torch.equal(multiply(x[:tokens], made), together[:tokens])


@pytest.mark.parametrize("case", list(CASES))
def test_rows_of_a_table(case: str) -> None:
    weight = CASES[case]((50, 256))
    tokens = torch.tensor([0, 49, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    out = embed_packed(tokens, packed(weight), torch.float32)
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("columns", [48, 80, 104] if FULL else [80])
@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
def test_columns_that_are_no_whole_unit(columns: int, exact: bool) -> None:
    """One group of a row, groups of 16, and groups of an odd number of sixteens."""
    shape = (21, columns)
    made: list[Made] = [
        zeros(torch.uint8, 4, columns, shape), floats8(shape, columns, randoms(21, 1)),
        halves(shape, columns, randoms(21, 1)),
    ]  # fmt: skip
    if columns % 16 == 0:
        made += [
            halves(shape, 16, randoms(21, columns // 16).to(E4M3), super_scale=randoms(21, 1)),
            zeros(torch.float16, 4, 16, shape),
        ]
    x = torch.randn(5, columns)
    for weight in made:
        matrices.check(multiply_packed(exact, shared_pool(2))(x, packed(weight)), x, weight,
                       exact=exact)  # fmt: skip
        out = embed_packed(torch.tensor([20, 3]), packed(weight), torch.float32)
        torch.testing.assert_close(out, weight.decode()[[20, 3]], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("group", [48, 80])
def test_groups_of_odd_sixteens(group: int) -> None:
    shape = (21, 240)
    for weight in (
        zeros(torch.uint8, 4, group, shape),
        affine(4, group, shape, zero=8, super_scale=randoms(21, 240 // group)),
        halves(shape, group, randoms(21, 240 // group).to(E4M3), super_scale=randoms(21, 1)),
    ):
        x = torch.randn(5, 240)
        out = multiply_packed(False, shared_pool(2))(x, packed(weight))
        matrices.check(out, x, weight, exact=False)


def test_small_zeros_take_a_byte_each() -> None:
    weight = zeros(torch.uint8, 4, 128, (320, 512))
    before = sum(tensor.nbytes for tensor in weight.tensors().values())
    assert packed(weight).packed.nbytes == before


def test_what_has_no_kernel() -> None:
    assert not can_pack(affine(4, 8, (4, 64), zero=8))
    assert not can_pack(affine(4, 32, (4, 64), zero=8, scale=torch.ones(4, 2).double()))

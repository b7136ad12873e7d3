"""Packed layouts: every code comes back, and decode is the formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from tramontane.layouts import PLANES, Affine, Dense, nbytes, pack, unpack

BITS = sorted(PLANES)


def random_affine(
    bits: int, group: int, *, levels: int = 1, offset: str = "zero", rows: int = 3, groups: int = 8
) -> Affine:
    """Random codes under random scales; `offset`: zero, min or none."""
    random = torch.Generator().manual_seed(bits * 1000 + group + levels)
    codes = torch.randint(0, 1 << bits, (rows, groups * group), generator=random)
    scales = torch.randn(rows, groups, generator=random).half()
    minimum = torch.randn(rows, groups, generator=random).half() if offset == "min" else None
    super_scale = super_minimum = None
    if levels == 2:
        scales = torch.randint(-32, 32, (rows, groups), generator=random).to(torch.int8)
        super_scale = torch.randn(rows, groups // 4, generator=random).half()
        if minimum is not None:
            minimum = torch.randint(0, 63, (rows, groups), generator=random).to(torch.uint8)
            super_minimum = torch.randn(rows, groups // 4, generator=random).half()
    zero = 1 << (bits - 1) if offset == "zero" else 0
    planes = pack(codes, bits)
    return Affine(bits, group, planes, scales, zero, minimum, super_scale, super_minimum)


def by_formula(layout: Affine, codes: Tensor) -> list[list[float]]:
    """The docstring's formula, one weight at a time, each product rounded to float32."""

    def f32(value: float) -> float:
        return float(torch.tensor(value, dtype=torch.float32))

    def level(value: Tensor, above: Tensor | None, row: int, group: int) -> float:
        own = float(value[row, group])
        return own if above is None else f32(float(above[row, group // 4]) * own)

    rows, columns = layout.shape
    out = []
    for row in range(rows):
        line = []
        for column in range(columns):
            group = column // layout.group
            scale = level(layout.scale, layout.super_scale, row, group)
            weight = f32((int(codes[row, column]) - layout.zero) * scale)
            if layout.minimum is not None:
                weight = f32(weight + level(layout.minimum, layout.super_minimum, row, group))
            line.append(weight)
        out.append(line)
    return out


@pytest.mark.parametrize("bits", BITS)
def test_codes_survive_packing(bits: int) -> None:
    codes = torch.arange(1 << bits).repeat(2, 8)[:, torch.randperm(8 << bits)]
    planes = pack(codes, bits)
    assert torch.equal(unpack(planes, PLANES[bits]), codes.to(torch.int16))
    assert sum(plane.numel() for plane in planes) * 8 == codes.numel() * bits


@pytest.mark.parametrize("offset", ["zero", "min", "none"])
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("bits", BITS)
def test_decode_is_the_formula(bits: int, levels: int, offset: str) -> None:
    layout = random_affine(bits, 16, levels=levels, offset=offset)
    codes = unpack(layout.codes, PLANES[bits])
    expected = torch.tensor(by_formula(layout, codes), dtype=torch.float32)
    assert torch.equal(layout.decode(), expected)


@pytest.mark.parametrize("group", [16, 32, 64, 128])
def test_shape_and_rows(group: int) -> None:
    layout = random_affine(4, group)
    assert layout.shape == (3, 8 * group)
    picked = torch.tensor([2, 0, 2])
    assert torch.equal(layout.rows(picked).decode(), layout.decode()[picked])
    assert torch.equal(layout.rows(slice(1, 3)).decode(), layout.decode()[1:3])


def test_bytes_are_those_of_the_format() -> None:
    layout = random_affine(4, 32, rows=64, groups=16)
    assert nbytes(layout) == 64 * 16 * (16 + 2)
    assert nbytes(Dense(torch.zeros(3, 5, dtype=torch.bfloat16))) == 30


def test_kinds_are_readable() -> None:
    assert random_affine(4, 32).kind == "affine4/g32/1-level/zero"
    assert random_affine(6, 16, levels=2, offset="none").kind == "affine6/g16/2-level/none"
    assert Dense(torch.zeros(1, dtype=torch.bfloat16)).kind == "bfloat16"

"""Codes that stand for the numbers of a table, and 8-bit floats, against the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tramontane import reference
from tramontane.layouts import Codebook, pack
from tramontane_backend_cpu import packing
from tramontane_backend_cpu.eager import embed_packed, multiply_packed, multiply_stacked
from tramontane_backend_cpu.packing import Interleaved, can_pack
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.tables import bytes_of
from tramontane_backend_cpu.vector.target import SET
from tramontane_backend_cpu.vector.tiles import ROWS

from . import matrices

SHAPES = [(1, 128), (7, 256), (33, 384), (300, 512)]
TOKENS = (1, 3, 2 * SET.tile + 1)
BYTES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
HALVES = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]
FLOATS = [i / 7 - 1.05 for i in range(16)]
THREE = [sign * size for sign in (-1, 1) for size in (8, 25, 43)] + [0, 0]
FOUR = [sign * size for sign in (-1, 1) for size in (4, 12, 20, 28, 36, 44, 52, 62)]
E2M3 = [
    sign * (m / 8 if e == 0 else (1 + m / 8) * 2.0 ** (e - 1))
    for sign in (1, -1) for e in range(4) for m in range(8)
]  # fmt: skip
TABLES = {
    "2 bits": torch.tensor([-1.0, 0.0, 1.0, 3.0]),
    "3 bits": torch.tensor(THREE, dtype=torch.float32),
    "4 bits": torch.tensor(FOUR, dtype=torch.float32),
    "5 bits": torch.arange(32).sub(15).mul(3).float(),
    "6 bits": torch.tensor(E2M3),
    "2 bits of floats": torch.tensor([-0.3, 0.1, 0.7, 1.1]),
    "3 bits of floats": torch.linspace(-1, 1, 8) ** 3,
    "5 bits of floats": torch.linspace(-1, 1, 32) ** 3,
    "6 bits of floats": torch.linspace(-1, 1, 64) ** 3,
    "bytes": torch.tensor(BYTES, dtype=torch.float32),
    "halves": torch.tensor(HALVES),
    "floats": torch.tensor(FLOATS),
    "e4m3": torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float(),
    "e5m2": torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2).float(),
}
CASES = [
    ("bytes", 32, "f16"), ("bytes", 32, "two levels"), ("bytes", 16, "f16"),
    ("halves", 32, "e8m0"), ("halves", 16, "f16"), ("floats", 64, "f32"), ("floats", 16, "f16"),
    ("e4m3", 128, "f32"), ("e4m3", 32, "e8m0"), ("e5m2", 128, "f32"),
    ("2 bits", 32, "f16"), ("3 bits", 16, "two levels"), ("4 bits", 32, "f16"),
    ("5 bits", 32, "f16"), ("6 bits", 32, "e8m0"), ("6 bits", 16, "f16"),
    ("2 bits of floats", 64, "f16"), ("3 bits of floats", 32, "f16"),
    ("5 bits of floats", 16, "f32"), ("6 bits of floats", 32, "two levels"),
]  # fmt: skip


def codebook(table: str, group: int, scales: str, shape: tuple[int, int]) -> Codebook:
    """Random codes of finite numbers, and random scales."""
    random = torch.Generator().manual_seed(group + shape[0])
    numbers = TABLES[table]
    finite = numbers.isfinite().nonzero().flatten()
    codes = finite[torch.randint(0, len(finite), shape, generator=random)]
    bits = len(numbers).bit_length() - 1
    groups = (shape[0], shape[1] // group)
    scale, above = torch.randn(groups, generator=random), None
    if scales == "f16":
        scale = scale.half()
    elif scales == "e8m0":
        exponents = torch.randint(120, 130, groups, generator=random).to(torch.uint8)
        scale = exponents.view(torch.float8_e8m0fnu)
    elif scales == "two levels":
        scale = torch.randint(-32, 32, groups, generator=random).to(torch.int8)
        above = torch.randn(shape[0], 1, generator=random).half()
    return Codebook(bits, group, pack(codes, bits), numbers, scale, above)


def packed(weight: Codebook) -> Interleaved:
    assert can_pack(weight)
    return Interleaved(packing.pack(weight, shared_pool(2)), weight.kind)


@pytest.mark.parametrize("exact", [False, True], ids=["int8", "f32"])
@pytest.mark.parametrize(("table", "group", "scales"), CASES)
def test_products(table: str, group: int, scales: str, exact: bool) -> None:
    multiply = multiply_packed(exact, shared_pool(2))
    for shape in SHAPES:
        weight = codebook(table, group, scales, shape)
        for tokens in TOKENS:
            x = torch.randn(tokens, shape[1])
            matrices.check(multiply(x, packed(weight)), x, weight, exact=exact)


def test_only_small_integers_are_multiplied_as_such() -> None:
    plain = {
        name
        for name in TABLES
        if packed(codebook(name, 32, "f32", (4, 128))).packed.packing.plain_only
    }
    assert plain == {name for name in TABLES if "floats" in name} | {"e4m3", "e5m2"}
    assert bytes_of(repr(tuple(HALVES))) == (tuple(int(2 * n) for n in HALVES), 0.5)


@pytest.mark.parametrize(("table", "group", "scales"), CASES)
def test_rows_of_a_table_are_exact(table: str, group: int, scales: str) -> None:
    weight = codebook(table, group, scales, (50, 256))
    tokens = torch.tensor([0, 49, 7, 7])
    expected = reference.embedding(tokens, weight, torch.float32)
    assert torch.equal(embed_packed(tokens, packed(weight), torch.float32), expected)


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_every_8_bit_float(name: str) -> None:
    """Subnormal ones, infinities and NaN included."""
    codes = torch.arange(256, dtype=torch.uint8).view(1, 256)
    weight = Codebook(8, 128, (codes,), TABLES[name], torch.ones(1, 2))
    out = embed_packed(torch.tensor([0]), packed(weight), torch.float32)[0]
    expected = TABLES[name]
    assert torch.equal(out.isnan(), expected.isnan())
    assert torch.equal(out.nan_to_num(), expected.nan_to_num())


def test_every_power_of_two() -> None:
    exponents = torch.arange(256, dtype=torch.uint8).view(256, 1)
    weight = Codebook(
        4, 32, pack(torch.full((256, 32), 2), 4), TABLES["halves"],
        exponents.view(torch.float8_e8m0fnu),
    )  # fmt: skip
    out = embed_packed(torch.arange(256), packed(weight), torch.float32)[:, 0]
    assert torch.equal(out[:255], torch.ldexp(torch.ones(255), torch.arange(-127, 128)))
    assert out[255].isnan()


@pytest.mark.parametrize(("table", "group", "scales"), [CASES[0], CASES[3], CASES[7]])
def test_a_vector_depends_on_nothing_but_itself(table: str, group: int, scales: str) -> None:
    weight = packed(codebook(table, group, scales, (150, 512)))
    x = torch.randn(4 * SET.tile + 3, 512)
    together = multiply_packed(False, shared_pool(2))(x, weight)
    random = torch.Generator().manual_seed(1)
    for threads in (1, 2, 3):
        multiply = multiply_packed(False, shared_pool(threads))
        for _ in range(8):
            count = int(torch.randint(1, len(x), (), generator=random))
            rows = torch.randperm(len(x), generator=random)[:count]
            assert torch.equal(multiply(x[rows], weight), together[rows])


def test_matrices_in_one() -> None:
    weight = codebook("halves", 32, "e8m0", (4 * ROWS, 128))
    x, counts = torch.randn(6, 128), torch.tensor([2, 0, 3, 1])
    multiply = multiply_stacked(multiply_packed(True, shared_pool(2)))
    out, start = multiply(x, counts, packed(weight)), 0
    for index, count in enumerate(counts.tolist()):
        one = weight.rows(slice(index * ROWS, (index + 1) * ROWS))
        matrices.check(out[start : start + count], x[start : start + count], one, exact=True)
        start += count
    assert out.shape == (start, ROWS)


def test_other_tables_of_256_have_no_kernel() -> None:
    weight = codebook("e4m3", 32, "f32", (4, 128))
    assert not can_pack(replace(weight, table=weight.table + 1))

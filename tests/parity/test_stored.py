"""Blocks taken straight to the CPU backend's order, against translation and repacking."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tramontane.block_format import Plain, Raw, Recipe, Stored
from tramontane.layouts import Dense
from tramontane.testing.recipes import weights_of
from tramontane_backend_cpu.packing import Interleaved, pack
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.translation import CACHEFUL, foreseen, translated
from tramontane_backend_cpu.vector.tiles import ROWS
from tramontane_quant_gguf.formats.recipes import RECIPES
from tramontane_quant_gguf.formats.table import FORMATS

TRANSLATE = {row[0]: row[3] for row in FORMATS.values()}
SHAPES = [(1, 256), (16, 512), (37, 768), (300, 256)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def in_file(raw: NDArray[np.uint8], before: int = 7) -> tuple[int, int]:
    """Bytes in a file, behind some others."""
    path = Path(f"blocks-{len(list(Path().iterdir()))}")
    path.write_bytes(bytes(before) + raw.tobytes())
    return os.open(path, os.O_RDONLY), before


def stored(name: str, rows: int, columns: int) -> Stored:
    """Random blocks, with every float16 in them finite."""
    recipe = RECIPES[name]
    random = np.random.default_rng(rows + columns)
    raw = random.integers(0, 256, (rows * columns // recipe.count, recipe.size), dtype=np.uint8)
    for value in (recipe.scale, recipe.minimum, recipe.super_scale, recipe.super_minimum):
        if hasattr(value, "offset"):
            raw[:, value.offset + 1] &= 0xBB
    raw = raw.reshape(-1)
    return Stored(raw, (rows, columns), recipe, TRANSLATE[name], in_file(raw))


def check(matrix: Stored, threads: int = 2) -> None:
    """Every array, every bit."""
    layout = matrix.translated()
    expected = pack(layout, shared_pool(1))  # type: ignore[arg-type]
    (found,) = translated([matrix], shared_pool(threads))
    assert isinstance(found, Interleaved)
    assert found.kind == layout.kind
    got = found.packed
    assert (got.packing, got.rows, got.columns) == (
        expected.packing, expected.rows, expected.columns
    )  # fmt: skip
    assert (got.supers, got.steps) == (expected.supers, expected.steps)
    assert list(got.arrays) == list(expected.arrays)
    for name, array in expected.arrays.items():
        assert np.array_equal(got.arrays[name].reshape(-1), array.reshape(-1)), name
    ahead: Any = foreseen(matrix)
    assert ahead.kind == layout.kind
    assert replace(ahead.packed, arrays={}) == replace(got, arrays={})
    assert ahead.packed.nbytes == got.nbytes
    if matrix.shape[0] % ROWS == 0:
        assert got.nbytes <= 1.05 * matrix.shape[0] * matrix.row_bytes


def test_affine_formats_have_recipes() -> None:
    rare = {"Q8_K", "TQ1_0", "IQ1_S", "Q1_0", "Q2_0"}
    codebooks = {name for name in TRANSLATE if name.startswith(("IQ", "MXFP4", "NVFP4"))}
    assert set(RECIPES) == set(TRANSLATE) - codebooks - rare


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_word_by_word(name: str) -> None:
    matrix, recipe = stored(name, 3, 512), RECIPES[name]
    blocks = matrix.raw[:].reshape(-1, recipe.size)
    expected = matrix.decode().numpy().reshape(-1, recipe.count)
    assert np.array_equal(np.stack([weights_of(recipe, block) for block in blocks]), expected)


@pytest.mark.parametrize("name", list(RECIPES))
def test_blocks_are_translated_exactly(name: str) -> None:
    for rows, columns in SHAPES:
        check(stored(name, rows, columns))


@pytest.mark.parametrize("name", ["Q4_0", "Q6_K"])
def test_some_rows_in_another_order(name: str) -> None:
    whole = stored(name, 64, 512)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    check(whole.rows(order))
    check(whole.rows(order).rows(slice(5, 30)))
    assert torch.equal(whole.rows(order).translated().decode(), whole.translated().decode()[order])


@pytest.mark.parametrize("threads", [1, 3])
def test_more_than_a_cacheful(threads: int) -> None:
    matrix = stored("Q4_0", 3 * CACHEFUL // (2048 // 32 * 18), 2048)
    assert len(matrix.raw) > 2 * CACHEFUL
    check(matrix, threads)
    heads = torch.arange(matrix.shape[0] // 64 * 64).view(-1, 2, 32).transpose(1, 2).flatten()
    check(matrix.rows(heads), threads)


def test_many_at_once() -> None:
    matrices = [stored(name, 40, 512) for name in RECIPES]
    alone = [translated([matrix], shared_pool(1))[0] for matrix in matrices]
    together = translated(matrices, shared_pool(3))
    for one, other in zip(alone, together, strict=True):
        for name, array in one.packed.arrays.items():  # type: ignore[union-attr]
            assert np.array_equal(other.packed.arrays[name], array)  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_plain_numbers_are_copied(dtype: torch.dtype) -> None:
    numbers = torch.randn(700, 333).to(dtype)
    raw = numbers.view(torch.uint8).numpy().reshape(-1)
    matrix = Stored(raw, (700, 333), Plain(dtype), plain, in_file(raw))
    (found,) = translated([matrix], shared_pool(2))
    assert isinstance(found, Dense)
    assert torch.equal(found.data, numbers)


def plain(raw: Raw, rows: int, columns: int) -> Dense:
    raise AssertionError("it was to be read straight")


@pytest.mark.parametrize("name", list(RECIPES))
def test_numbers_that_are_not_finite_are_left_to_the_translation(name: str) -> None:
    matrix = stored(name, 20, 512)
    recipe = matrix.recipe
    assert isinstance(recipe, Recipe)
    half = recipe.super_scale or recipe.scale
    raw = matrix.raw[:].copy()
    at = 5 * recipe.size + half.offset  # type: ignore[union-attr]
    raw[at : at + 2] = np.frombuffer(np.float16(np.inf).tobytes(), np.uint8)
    damaged = replace(matrix, raw=raw, file=in_file(raw))
    assert translated([matrix, damaged], shared_pool(2))[1] is None


def test_a_file_that_ends_too_early_is_left_to_the_translation() -> None:
    matrix = stored("Q8_0", 64, 256)
    os.truncate("blocks-0", 7 + len(matrix.raw) - 1)
    assert translated([matrix], shared_pool(2)) == [None]

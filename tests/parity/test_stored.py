"""Blocks taken straight to the CPU backend's order, against translation and repacking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tramontane.stored import Stored
from tramontane_backend_cpu.packing import pack
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.translation import CACHEFUL, can_translate, interleaved
from tramontane_quant_gguf.formats.recipes import RECIPES
from tramontane_quant_gguf.formats.table import FORMATS

TRANSLATE = {row[0]: row[3] for row in FORMATS.values()}
SHAPES = [(1, 256), (16, 512), (37, 768), (300, 256)]


def stored(name: str, rows: int, columns: int) -> Stored:
    """Random blocks, with every float16 in them finite."""
    recipe = RECIPES[name]
    random = np.random.default_rng(rows + columns)
    raw = random.integers(0, 256, (rows * columns // recipe.count, recipe.size), dtype=np.uint8)
    for value in (recipe.scale, recipe.minimum, recipe.super_scale, recipe.super_minimum):
        if hasattr(value, "offset"):
            raw[:, value.offset + 1] &= 0xBB
    return Stored(raw.reshape(-1), (rows, columns), recipe, TRANSLATE[name])


def check(matrix: Stored) -> None:
    """Every array, every bit."""
    layout = matrix.translated()
    expected = pack(layout, shared_pool(1))  # type: ignore[arg-type]
    assert can_translate(matrix)
    found = interleaved(matrix)
    assert found is not None
    assert found.kind == layout.kind
    got = found.packed
    assert (got.packing, got.rows, got.columns) == (
        expected.packing, expected.rows, expected.columns
    )  # fmt: skip
    assert (got.supers, got.steps) == (expected.supers, expected.steps)
    assert list(got.arrays) == list(expected.arrays)
    for name, array in expected.arrays.items():
        assert np.array_equal(got.arrays[name].reshape(-1), array.reshape(-1)), name


def test_every_format_has_a_recipe() -> None:
    assert set(RECIPES) == set(TRANSLATE)


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
    assert torch.equal(
        whole.rows(order).translated().decode(), whole.translated().decode()[order]
    )


def test_more_than_a_cacheful() -> None:
    matrix = stored("Q4_0", 3 * CACHEFUL // (2048 // 32 * 18), 2048)
    assert len(matrix.raw) > 2 * CACHEFUL
    check(matrix)


@pytest.mark.parametrize("name", list(RECIPES))
def test_numbers_that_are_not_finite_are_left_to_the_translation(name: str) -> None:
    matrix = stored(name, 20, 512)
    recipe = matrix.recipe
    half = recipe.super_scale or recipe.scale
    raw = matrix.raw[:].copy()
    at = 5 * recipe.size + half.offset  # type: ignore[union-attr]
    raw[at : at + 2] = np.frombuffer(np.float16(np.inf).tobytes(), np.uint8)
    assert interleaved(Stored(raw, matrix.shape, recipe, matrix.translate)) is None

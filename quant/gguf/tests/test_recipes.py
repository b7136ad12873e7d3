"""Recipes, word by word, against the translations of the same blocks."""

from __future__ import annotations

import numpy as np
import pytest
from tramontane.block_format import Half
from tramontane.testing.recipes import weights_of
from tramontane_quant_gguf.formats.grid_recipes import grid_recipe
from tramontane_quant_gguf.formats.recipes import RECIPES
from tramontane_quant_gguf.formats.table import FORMATS

GRIDS = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS")


@pytest.mark.parametrize("name", [*RECIPES, *GRIDS])
def test_a_recipe_comes_to_the_translation(name: str) -> None:
    recipe = RECIPES.get(name) or grid_recipe(name)
    assert recipe is not None
    _, count, size, translate = next(each for each in FORMATS.values() if each[0] == name)
    assert (recipe.count, recipe.size) == (count, size)
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (24, size), dtype=np.uint8)
    numbers = (recipe.scale, recipe.minimum, recipe.super_scale, recipe.super_minimum)
    for half in numbers:
        if isinstance(half, Half):
            scales = random.uniform(0.1, 1, (24, 1)).astype("<f2")
            blocks[:, half.offset : half.offset + 2] = scales.view(np.uint8)
    expected = translate(blocks.reshape(-1), 8, 3 * count).decode().numpy().reshape(24, count)
    for block, weights in zip(blocks, expected, strict=True):
        assert (weights_of(recipe, block) == weights).all()


def test_others_are_translated() -> None:
    assert grid_recipe("IQ1_S") is None

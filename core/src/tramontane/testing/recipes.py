"""A recipe taken word by word: slow, and what backends' kernels must come to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tramontane.block_format import Bytes, Half, Lookup, Quad, Recipe, Term
from tramontane.layouts import PLANES


def weights_of(recipe: Recipe, block: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The `count` weights of one block of `size` bytes."""
    codes = np.zeros(recipe.count, np.int64)
    up = 0
    for index, (width, quads) in enumerate(zip(PLANES[recipe.bits], recipe.planes, strict=True)):
        part = np.array(
            [byte for quad in quads for byte in bytes_of(quad, block, recipe)], np.int64
        )
        codes |= (part ^ recipe.flip if index == 0 else part) << up
        up += width
    scale = numbers(recipe.scale, block, recipe)
    if recipe.super_scale is not None:
        scale = scale * numbers(recipe.super_scale, block, recipe)
    if recipe.numbers:
        weights = np.array(recipe.numbers, np.float32)[codes]
    else:
        weights = (codes - recipe.zero).astype(np.float32)
    weights = weights * np.repeat(scale, recipe.group)
    if recipe.minimum is not None:
        least = numbers(recipe.minimum, block, recipe)
        if recipe.super_minimum is not None:
            least = least * numbers(recipe.super_minimum, block, recipe)
        weights = weights + np.repeat(least, recipe.group)
    return weights


def bytes_of(quad: Quad, block: NDArray[np.uint8], recipe: Recipe) -> list[int]:
    """The four bytes that a quad comes to."""
    total = 0
    for term in quad:
        if isinstance(term, Lookup):
            table = np.frombuffer(recipe.tables[term.table], "<u4")
            total |= int(table[sum(_word(part, block) for part in term.index)])
        else:
            word = _word(term, block)
            total |= sum((word >> i & 1) << 8 * i for i in range(4)) if term.spread else word
    return list((total & 0xFFFFFFFF).to_bytes(4, "little"))


def _word(term: Term, block: NDArray[np.uint8]) -> int:
    word = int.from_bytes(block[term.offset : term.offset + 4].tobytes(), "little")
    word = word >> term.shift if term.shift >= 0 else word << -term.shift
    return word & term.mask


def numbers(value: Half | Bytes, block: NDArray[np.uint8], recipe: Recipe) -> NDArray[np.float32]:
    """A block's scales or minima as float32."""
    if isinstance(value, Half):
        half = block[value.offset : value.offset + 2].copy().view("<f2").astype(np.float32)
        return -half if value.negative else half
    found = np.array(
        [byte for quad in value.quads for byte in bytes_of(quad, block, recipe)], np.uint8
    )
    found -= np.uint8(value.less % 256)
    if not value.signed:
        return found.astype(np.float32)
    return found.view(np.int8).astype(np.float32)

"""Matrices as a file has them, made for the kit: what a backend's `translate` is given."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from tramontane.block_format import Half, Lookup, Plain, Raw, Recipe, Stored, Term
from tramontane.layouts import Affine, Codebook, Dense, Layout, pack

GROUP = 32
EIGHT = Recipe(
    34, GROUP, 8, GROUP, (tuple((Term(2 + i, 0, 0xFFFFFFFF),) for i in range(0, GROUP, 4)),),
    Half(0), zero=128, flip=0x80,
)  # fmt: skip
"""A float16 scale, then 32 signed bytes."""
FOUR = Recipe(
    20, GROUP, 4, GROUP,
    (tuple((Term(4 + i % 16, 4 * (i // 16), 0x0F0F0F0F),) for i in range(0, GROUP, 4)),),
    Half(0), minimum=Half(2),
)  # fmt: skip
"""A float16 scale and a float16 minimum, then 16 bytes: column i low in byte i, 16 + i high."""

VECTORS = np.random.default_rng(1).integers(0, 16, (256, 4), dtype=np.uint8)
NUMBERS = (0.0, 1.0, 3.0, 5.5, 7.0, 9.0, 11.0, 13.0, -1.0, -3.0, -5.0, -7.0, -9.0, -11.0, 2.0, -2.0)
GRID = Recipe(
    10, GROUP, 4, GROUP,
    (tuple((Lookup((Term(2 + i // 16 * 4, i % 16 * 2, 255),), 0),) for i in range(0, GROUP, 4)),),
    Half(0), tables=(VECTORS.tobytes(),), numbers=NUMBERS,
)  # fmt: skip
"""A float16 scale, then 8 bytes, each of which names four codes."""


def stored_matrices(file: BinaryIO, rows: int, columns: int) -> dict[str, Stored]:
    """A matrix in each of five ways, one of them with its rows in another order.

    file: where the bytes are written to, and can be read from for as long as it is open.
    """
    random = np.random.default_rng(0)
    count = rows * columns // GROUP
    shape, order = (rows, columns), torch.from_numpy(random.permutation(rows))
    numbers = (random.standard_normal(shape) / columns**0.5).astype("<f4")
    found: dict[str, Stored] = {}
    for name, raw, recipe, translate in (
        ("8 bits", _blocks(random, count, EIGHT.size, heads=1), EIGHT, _eight),
        ("4 bits with a minimum", _blocks(random, count, FOUR.size, heads=2), FOUR, _four),
        ("4 bits by a table", _blocks(random, count, GRID.size, heads=1), GRID, _grid),
        ("float32", numbers.view(np.uint8).reshape(-1), Plain(torch.float32), _plain),
    ):
        place = file.tell()
        file.write(raw.tobytes())
        found[name] = Stored(raw, shape, recipe, translate, (file.fileno(), place))
    file.flush()
    return {**found, "rows in another order": found["4 bits with a minimum"].rows(order)}


def _blocks(random: np.random.Generator, count: int, size: int, heads: int) -> NDArray[np.uint8]:
    """Blocks of random codes behind `heads` float16 numbers, one after the other."""
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    numbers = random.uniform(1e-3, 2e-3, (count, heads)).astype("<f2")
    blocks[:, : 2 * heads] = numbers.view(np.uint8)
    return blocks.reshape(-1)


def _halves(blocks: NDArray[np.uint8], at: int, rows: int) -> torch.Tensor:
    found = np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2")
    return torch.from_numpy(found.reshape(rows, -1).copy())


def _eight(raw: Raw, rows: int, columns: int) -> Layout:
    blocks = raw[0 : len(raw)].reshape(-1, EIGHT.size)
    codes = torch.from_numpy((blocks[:, 2:] ^ 0x80).reshape(rows, columns))
    return Affine(8, GROUP, (codes,), _halves(blocks, 0, rows), zero=128)


def _four(raw: Raw, rows: int, columns: int) -> Layout:
    blocks = raw[0 : len(raw)].reshape(-1, FOUR.size)
    halves = np.concatenate((blocks[:, 4:] & 15, blocks[:, 4:] >> 4), 1)
    codes = pack(torch.from_numpy(halves.reshape(rows, columns)), 4)
    return Affine(4, GROUP, codes, _halves(blocks, 0, rows), minimum=_halves(blocks, 2, rows))


def _grid(raw: Raw, rows: int, columns: int) -> Layout:
    blocks = raw[0 : len(raw)].reshape(-1, GRID.size)
    codes = pack(torch.from_numpy(VECTORS[blocks[:, 2:]].reshape(rows, columns)), 4)
    return Codebook(4, GROUP, codes, torch.tensor(NUMBERS), _halves(blocks, 0, rows))


def _plain(raw: Raw, rows: int, columns: int) -> Layout:
    numbers = np.ascontiguousarray(raw[0 : len(raw)]).view("<f4").reshape(rows, columns)
    return Dense(torch.from_numpy(numbers.copy()))

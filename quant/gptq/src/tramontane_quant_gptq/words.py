"""Codes in integer words, down the columns of a matrix of words.

A stream: code i has bits i*b .. i*b+b-1 of a column, the lowest bit of the first word first; so
codes of 3 bits cross from one word to the next. Planar: the codes of 32 rows are b words, first
those of the plane with the low bits (its width w in PLANES[b]), then the higher planes; word i of a
plane has codes i*(32/w) .. at shifts w*j.
"""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import PLANES

BLOCK = 32
WIDTHS = {**PLANES, 7: (4, 2, 1)}
"""Of the planes of a planar file; layouts have no codes of 7 bits."""


def whole_words(name: str, words: Tensor) -> Tensor:
    """Words (n, columns) of any integer type as int32 (n * size / 4, columns). Raises
    CheckpointError."""
    if words.ndim != 2 or words.is_floating_point() or words.dtype == torch.bool:
        held = f"{str(words.dtype).removeprefix('torch.')} {tuple(words.shape)}"
        raise CheckpointError(f"{name} must be words in a matrix, not {held}")
    if words.dtype.itemsize == 4:
        return words if words.dtype == torch.int32 else words.view(torch.int32)
    raw = words.T.contiguous().view(torch.uint8)
    if raw.shape[1] % 4:
        raw = torch.nn.functional.pad(raw, (0, -raw.shape[1] % 4))
    return raw.view(torch.int32).T


def codes_of(words: Tensor, bits: int, *, planar: bool) -> Tensor:
    """Words int32 (n, columns) -> codes uint8 (n * 32 / bits, columns); rounded up to 32 rows,
    with zeros, where words are missing."""
    count = words.shape[0] * BLOCK // bits
    if words.shape[0] % bits:
        words = torch.nn.functional.pad(words, (0, 0, 0, -words.shape[0] % bits))
        count = -(-count // BLOCK) * BLOCK
    blocks = words.unflatten(0, (-1, bits))
    codes = torch.empty((blocks.shape[0], BLOCK, words.shape[1]), dtype=torch.uint8)
    (_split if planar else _stream)(blocks, bits, codes)
    return codes.flatten(0, 1)[:count]


def _stream(blocks: Tensor, bits: int, codes: Tensor) -> None:
    mask = (1 << bits) - 1
    for row in range(BLOCK):
        word, shift = divmod(row * bits, BLOCK)
        part = blocks[:, word] >> shift
        if shift + bits > BLOCK:
            part = part & ((1 << (BLOCK - shift)) - 1) | blocks[:, word + 1] << (BLOCK - shift)
        codes[:, row] = part & mask


def _split(blocks: Tensor, bits: int, codes: Tensor) -> None:
    codes.zero_()
    first = done = 0
    for width in WIDTHS[bits]:
        each, mask = BLOCK // width, (1 << width) - 1
        for row in range(BLOCK):
            part = blocks[:, first + row // each] >> width * (row % each) & mask
            codes[:, row] |= (part << done).to(torch.uint8)
        first, done = first + width, done + width


def plus_one(words: Tensor, bits: int) -> Tensor:
    """Words of zeros of 2, 4 or 8 bits, each one larger. A zero of all ones becomes 0 and carries
    into the next one of its word, from which as much was taken when one was subtracted."""
    size = words.dtype.itemsize * 8
    ones = sum(1 << shift for shift in range(0, size, bits))
    signed = torch.tensor(ones - (1 << size) if ones >> (size - 1) else ones, dtype=words.dtype)
    return words + signed


def planes_of(codes: Tensor, bits: int) -> tuple[Tensor, ...]:
    """Codes uint8 (columns, rows) as a layout's planes, (rows, columns * width / 8) uint8 each;
    their strides are those of a transposed matrix."""
    planes = []
    for width in PLANES[bits]:
        parts = (codes & ((1 << width) - 1)).unflatten(0, (-1, 8 // width))
        plane = parts[:, 0]
        for place in range(1, 8 // width):
            plane = plane | parts[:, place] << width * place
        planes.append(plane.T)
        codes = codes >> width
    return tuple(planes)

"""Codes in AWQ's words.

gemm: (columns, rows * bits / 32) words. With 4 bits the code of row 8w + ORDER[i] of a word w has
bits 4i .. 4i+3; with others a row of words is a stream of bits, the lowest first.
gemv: (rows, columns / 8) words, the code of column 8w + i has bits 4i .. 4i+3.
gemv_fast and llm-awq: (rows / 4, columns) int16; the four codes of one word are of one row and of
columns that lie apart, as `fast_codes` undoes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import PLANES

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
BLOCK = 32


def checked(name: str, words: Tensor, size: int) -> Tensor:
    """A matrix of words of `size` bytes as signed integers. Raises CheckpointError."""
    if words.ndim != 2 or words.is_floating_point() or words.dtype.itemsize != size:
        held = f"{str(words.dtype).removeprefix('torch.')} {tuple(words.shape)}"
        raise CheckpointError(f"{name} must be int{8 * size} words in a matrix, not {held}")
    return words.view({2: torch.int16, 4: torch.int32}[size])


def gemm_codes(words: Tensor, bits: int) -> Tensor:
    """Words int32 (n, rows * bits / 32) -> codes uint8 (n, rows)."""
    count, width = words.shape
    if bits == 4:
        codes = torch.empty((count, width, 8), dtype=torch.uint8)
        for place, row in enumerate(ORDER):
            codes[:, :, row] = words >> 4 * place & 15
        return codes.flatten(1)
    words = torch.nn.functional.pad(words, (0, -width % bits)).unflatten(1, (-1, bits))
    codes = torch.empty((count, words.shape[1], BLOCK), dtype=torch.uint8)
    mask = (1 << bits) - 1
    for place in range(BLOCK):
        word, shift = divmod(place * bits, BLOCK)
        part = words[:, :, word] >> shift
        if shift + bits > BLOCK:
            part = part & ((1 << (BLOCK - shift)) - 1) | words[:, :, word + 1] << (BLOCK - shift)
        codes[:, :, place] = part & mask
    return codes.flatten(1)[:, : width * BLOCK // bits]


def fast_codes(words: Tensor) -> Tensor:
    """Words int16 (rows / 4, columns) -> codes uint8 (rows, columns)."""
    fours, columns = words.shape
    # four nibbles of 64 words lie as 64 codes for each of 4 rows
    codes = torch.stack([(words >> 4 * place & 15).to(torch.uint8) for place in range(4)], -1)
    codes = codes.view(fours, columns // 64, 4, 64).transpose(1, 2).reshape(4 * fours, columns)
    # in 8 columns first the even ones, in 32 pairs of columns 8 apart
    codes = codes.view(-1, columns // 32, 4, 2, 4).transpose(3, 4).reshape(-1, columns // 32, 32)
    codes = codes.view(-1, columns // 32, 4, 4, 2).transpose(2, 3)
    return codes.reshape(4 * fours, columns)


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

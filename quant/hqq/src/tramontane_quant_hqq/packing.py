"""Codes in words: rows of codes lie in one word, the first of them in its highest bits.

4bit_u8   row r of n words:  codes of row r << 4 | row n + r
2bit_u8                      row r << 6 | row n + r << 4 | row 2n + r << 2 | row 3n + r
1bit_u8                      eight rows, likewise
3bit_32                      ten rows in an int32 from bit 27 down; rows of zeros fill the last
8bit_u8                      one code a byte, also of 5 and 6 bits
"""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.errors import CheckpointError

PACKINGS = {8: "8bit_u8", 6: "8bit_u8", 5: "8bit_u8", 4: "4bit_u8", 3: "3bit_32", 2: "2bit_u8",
            1.58: "2bit_u8", 1: "1bit_u8"}  # fmt: skip
"""Of codes of so many bits. 1.58 are three numbers."""

WORDS = {  # the word's type, codes in a word, bits of each
    "8bit_u8": (torch.uint8, 1, 8), "4bit_u8": (torch.uint8, 2, 4), "3bit_32": (torch.int32, 10, 3),
    "2bit_u8": (torch.uint8, 4, 2), "1bit_u8": (torch.uint8, 8, 1),
}  # fmt: skip


def codes_of(words: Tensor, packing: str, rows: int, columns: int, path: str) -> Tensor:
    """words: (n, columns) -> codes (rows, columns) uint8. Raises CheckpointError."""
    dtype, count, bits = WORDS[packing]
    needed = -(-rows // count)
    if words.dtype != dtype or tuple(words.shape) != (needed, columns):
        raise CheckpointError(
            f"{path}: W_q is {str(words.dtype).removeprefix('torch.')} {tuple(words.shape)}; "
            f"{rows} x {columns} codes in {packing} are {str(dtype).removeprefix('torch.')} "
            f"({needed}, {columns})"
        )
    if count == 1:
        return words
    codes = torch.empty((count * needed, columns), dtype=torch.uint8)
    for place, part in enumerate(codes.view(count, needed, columns)):
        part.copy_((words >> (bits * (count - 1 - place))) & ((1 << bits) - 1))
    return codes[:rows]


def words_of(codes: Tensor, packing: str) -> Tensor:
    """Codes (rows, columns) uint8 -> words (n, columns), rows of zeros below them if needed."""
    dtype, count, bits = WORDS[packing]
    needed = -(-codes.shape[0] // count)
    words = torch.zeros((needed, codes.shape[1]), dtype=dtype)
    for place in range(count):
        part = codes[place * needed : (place + 1) * needed].to(dtype)
        words[: len(part)] |= part << (bits * (count - 1 - place))
    return words

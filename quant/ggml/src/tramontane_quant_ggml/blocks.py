"""Blocks of the first two generations, as the same packed layouts as today's.

A block has 32 weights. The third generation is GGUF's. In the first two, scales of Q4_0, Q4_1 and
Q8_0 are float32, which are kept, and in the first, byte i of the codes has columns 2i and 2i + 1
instead of i and 16 + i. Bit i of Q5's high bits is column i's in all of them.

    Q4_0  | d f32 | codes 16 bytes |             Q5_0  | d f16 | bits u32 | codes 16 bytes |
    Q4_1  | d f32 | m f32 | codes 16 bytes |     Q5_1  | d f16 | m f16 | bits u32 | codes 16 |
    Q8_0  | d f32 | codes 32 x int8 |

Source: ggml before and after the changes of May 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tramontane.layouts import Affine
from tramontane_quant_gguf.formats.blocks import Out, Raw, chunks, field
from tramontane_quant_gguf.formats.table import FORMATS


@dataclass(frozen=True)
class Old:
    """A block. wide: its numbers before the codes, float32 here and float16 in the third
    generation; empty: they are the same. codes: bytes at its end."""

    block: np.dtype[Any]
    wide: tuple[str, ...]
    codes: int

    @property
    def size(self) -> int:
        return self.block.itemsize


OLD = {
    2: Old(np.dtype([("d", "<f4"), ("codes", "V16")]), ("d",), 16),
    3: Old(np.dtype([("d", "<f4"), ("m", "<f4"), ("codes", "V16")]), ("d", "m"), 16),
    6: Old(np.dtype([("head", "V6"), ("codes", "V16")]), (), 16),
    7: Old(np.dtype([("head", "V8"), ("codes", "V16")]), (), 16),
    8: Old(np.dtype([("d", "<f4"), ("codes", "V32")]), ("d",), 32),
}
"""By ggml's number of the type."""


def old_blocks(kind: int, raw: Raw, rows: int, columns: int, layout: int) -> Affine:
    """A matrix (rows, columns) of blocks of generation `layout`, 1 or 2, exactly."""
    old, count = OLD[kind], rows * columns // 32
    _, _, size, translate = FORMATS[kind]
    today = np.zeros((count, size), np.uint8)
    numbers = {name: Out(torch.float32, rows, columns // 32) for name in old.wide}
    for place, blocks in chunks(raw, old.block):
        for name, out in numbers.items():
            out.blocks(count)[place, 0] = blocks[name]
        if not old.wide:
            today[place, : size - old.codes] = field(blocks, "head")
        codes = field(blocks, "codes")
        paired = layout == 1 and old.codes == 16
        today[place, size - old.codes :] = _in_halves(codes) if paired else codes
    found = translate(today.reshape(-1), rows, columns)
    assert isinstance(found, Affine)
    if "d" in numbers:
        found = replace(found, scale=numbers["d"].tensor)
    if "m" in numbers:
        found = replace(found, minimum=numbers["m"].tensor)
    return found


def _in_halves(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of 4 bits (blocks, 16) from neighbours in a byte to columns i and 16 + i in one."""
    low, high = codes & 15, codes >> 4
    columns = np.stack([low, high], axis=2).reshape(len(codes), 32)
    joined: NDArray[np.uint8] = columns[:, :16] | columns[:, 16:] << 4
    return joined

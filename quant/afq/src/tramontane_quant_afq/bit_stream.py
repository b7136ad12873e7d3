"""Codes of `bits` bits side by side, the lowest bits first, to a layout's planes.

Eight codes fill `bits` bytes, read as one little-endian number: code i lies at bit bits * i. Codes
of 2, 4 and 8 bits lie as a layout has them already.
"""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.layouts import PLANES

STORED_AS = {1: 2}
"""Bits that layouts do not have, and the fewest above them that they have."""

STEP = 1 << 20
"""Bytes that are translated at once, which bounds the temporary memory."""


def planes(raw: Tensor, bits: int) -> tuple[Tensor, ...]:
    """raw: (rows, columns * bits / 8) uint8, columns a multiple of 8 -> planes of codes."""
    held = STORED_AS.get(bits, bits)
    if held == bits and len(PLANES[bits]) == 1:
        return (raw,)
    rows, width = raw.shape
    made = tuple(
        torch.empty((rows, width // bits * each), dtype=torch.uint8) for each in PLANES[held]
    )
    step = max(1, STEP // width)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        number = _numbers(raw[part], bits)
        shift = 0
        for plane, each in zip(made, PLANES[held], strict=True):
            plane[part] = _plane(number, bits, shift, each)
            shift += each
    return made


def _numbers(raw: Tensor, bits: int) -> Tensor:
    """Each eight codes as one number: (rows, columns / 8) int64."""
    eights = raw.unflatten(1, (-1, bits))
    number: Tensor = eights[..., 0].to(torch.int64)
    for index in range(1, bits):
        # a shift into the sign bit is well: of 8 bits there are only whole bytes
        number |= eights[..., index].to(torch.int64) << (8 * index)
    return number


def _plane(number: Tensor, bits: int, shift: int, width: int) -> Tensor:
    """`width` bits of each code, from bit `shift` on: (rows, columns * width / 8) uint8."""
    mask = (1 << min(width, bits - shift)) - 1
    packed = torch.zeros_like(number)
    for index in range(8):
        packed |= ((number >> (bits * index + shift)) & mask) << (width * index)
    plane: Tensor = packed.view(torch.uint8).unflatten(1, (-1, 8))[..., :width].flatten(1)
    return plane

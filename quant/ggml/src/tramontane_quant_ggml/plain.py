"""The sample decoded number by number, for the conformance kit.

No arithmetic is shared with `blocks.py`. Files of rustformers' tools and the types that the sample
does not have are compared in this repository's tests.
"""

from __future__ import annotations

import struct
from pathlib import Path

import torch
from torch import Tensor

from .families import FAMILIES
from .header import read_old


def decode(path: Path) -> dict[str, Tensor]:
    """Every tensor of a LLaMA file of F32, Q4_0 and Q8_0, in float32."""
    data = path.read_bytes()
    file, found = read_old(memoryview(data), path), {}
    for name, each in file.tensors.items():
        raw = data[each.start : each.start + each.nbytes]
        if each.type == 0:
            numbers = list(struct.unpack(f"<{len(raw) // 4}f", raw))
        else:
            numbers = _blocks(raw, each.type, file.layout)
        found[FAMILIES[0].rename(name)] = torch.tensor(numbers).view(each.shape)
    return found


def _blocks(raw: bytes, kind: int, layout: int) -> list[float]:
    scale, width = ("e", 2) if layout == 3 else ("f", 4)
    size, numbers = width + (16 if kind == 2 else 32), []
    for start in range(0, len(raw), size):
        (d,) = struct.unpack_from(f"<{scale}", raw, start)
        codes = raw[start + width : start + size]
        if kind == 8:
            numbers += [d * code for code in struct.unpack("<32b", codes)]
        elif layout == 1:
            numbers += [d * (each - 8) for code in codes for each in (code % 16, code // 16)]
        else:
            numbers += [d * (code % 16 - 8) for code in codes]
            numbers += [d * (code // 16 - 8) for code in codes]
    return numbers

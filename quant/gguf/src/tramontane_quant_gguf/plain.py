"""The sample's types decoded as ggml's formulas have them, for the conformance kit.

    F32   the number itself
    Q8_0  | d f16 | q 32 x int8 |   weight i = d q_i
    Q4_0  | d f16 | q 16 bytes  |   weight i = d ((q_i mod 16) - 8)
                                    weight 16 + i = d (floor(q_i / 16) - 8)

No arithmetic is shared with `formats/`; the header's reader says where a tensor lies. Types that
the sample does not have are compared with the gguf package in this repository's tests, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tramontane.errors import CheckpointError

from .header import read_header
from .types import STORED


def decode(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file in float32. Raises CheckpointError for types beyond the sample's."""
    data = path.read_bytes()
    found = {}
    for name, stretch in read_header(memoryview(data), path).tensors.items():
        stored = STORED[stretch.type].name
        if stored not in PLAIN:
            raise CheckpointError(f"{path}: {name} is {stored}; {', '.join(PLAIN)} are decoded")
        numbers = PLAIN[stored](data[stretch.start : stretch.start + stretch.nbytes])
        found[name] = torch.from_numpy(numbers.reshape(stretch.shape))
    return found


def _f32(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").copy()


def _q8_0(data: bytes) -> NDArray[np.float32]:
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 34)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return scale * blocks[:, 2:].copy().view(np.int8).astype(np.float32)


def _q4_0(data: bytes) -> NDArray[np.float32]:
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 18)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    low, high = blocks[:, 2:] % 16, blocks[:, 2:] // 16
    return scale * (np.concatenate((low, high), 1).astype(np.float32) - 8)


PLAIN: dict[str, Callable[[bytes], NDArray[np.float32]]] = {
    "F32": _f32, "Q8_0": _q8_0, "Q4_0": _q4_0,
}  # fmt: skip

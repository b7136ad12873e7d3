"""The format's arithmetic, as its specification has it: one bit after the other, in numpy.

It shares no code with the translation, and knows versions 1 and 2 of the streams only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def decode(tensors: dict[str, Tensor], config: dict[str, Any]) -> Tensor:
    """The weights (rows, columns) of a layer in float32, rounded as float16 scales make them."""
    bits = config["bits"]
    scales = tensors["scales"].numpy()
    codes = stream(tensors["qweight"].numpy().T, bits).T
    zeros = stream(tensors["qzeros"].numpy(), bits)[:, : scales.shape[1]]
    if config.get("checkpoint_format", "gptq") == "gptq":
        zeros = (zeros + 1) % (1 << bits)
    columns = len(codes)
    size = columns if config["group_size"] == -1 else config["group_size"]
    g_idx = tensors["g_idx"].numpy() if "g_idx" in tensors else np.arange(columns) // size
    weight = np.empty((scales.shape[1], columns), np.float32)
    for column, group in enumerate(g_idx):
        product = scales[group].astype(np.float32) * (codes[column] - zeros[group])
        weight[:, column] = product.astype(scales.dtype)
    return torch.from_numpy(weight)


def stream(words: NDArray[np.int32], bits: int) -> NDArray[np.int64]:
    """The codes of rows of words, lowest bits first."""
    raw = np.ascontiguousarray(words).view(np.uint8)
    each = np.unpackbits(raw, axis=-1, bitorder="little").astype(np.int64)
    count = each.shape[-1] // bits
    codes = each[..., : count * bits].reshape(*each.shape[:-1], count, bits)
    summed: NDArray[np.int64] = (codes << np.arange(bits)).sum(-1)
    return summed

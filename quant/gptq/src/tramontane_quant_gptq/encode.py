"""Rounding to GPTQ's layers: groups of 128 columns, the zero in the middle, version 1.

scale = 2 * (largest of a group) / (2^bits - 1), float16; code = weight / scale rounded to the
nearest, plus 2^(bits - 1). Nothing is calibrated: these are the numbers from which GPTQ starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .words import BLOCK

BITS = {"gptq4": 4, "gptq8": 8}
GROUP = 128
SMALLEST = 2.0**-24
"""The least float16 that is not 0."""


def encode(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """A layer's tensors from its matrix (rows, columns) in float32.

    Raises ValueError for a shape or numbers that the kind cannot have.
    """
    bits, (rows, columns) = BITS[kind], weight.shape
    if columns % BLOCK or rows % (BLOCK // bits):
        raise ValueError(
            f"{rows} x {columns}: {kind} needs columns in multiples of {BLOCK} and rows in "
            f"multiples of {BLOCK // bits}"
        )
    most, middle = (1 << bits) - 1, 1 << (bits - 1)
    group = torch.arange(columns) // GROUP
    padded = torch.nn.functional.pad(weight.float(), (0, -columns % GROUP))
    largest = padded.abs().unflatten(1, (-1, GROUP)).amax(-1)
    largest = torch.where(largest == 0, 1, largest)
    scale = (2 * largest / most).clamp(min=SMALLEST).to(torch.float16)
    if not scale.isfinite().all():
        raise ValueError(f"{kind} has no scale for weights as large as {float(largest.max()):g}")
    codes = weight / scale.float().index_select(1, group)
    codes = (codes.round() + middle).clamp(0, most).to(torch.int32)
    zeros = torch.full((scale.shape[1], rows), middle - 1, dtype=torch.int32)
    return {
        "qweight": _words(codes.T, bits),
        "qzeros": _words(zeros.T, bits).T.contiguous(),
        "scales": scale.T.contiguous(),
        "g_idx": group.to(torch.int32),
    }


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The `quantization_config` of a folder with these layers: the bits of most, and `dynamic` for
    those that have others."""
    bits = {path: BITS[kind] for path, kind in kinds.items()}
    usual = Counter(bits.values()).most_common(1)[0][0] if bits else 4
    others = {
        f"+:{path.replace('.', chr(92) + '.')}$": {"bits": each}
        for path, each in bits.items() if each != usual
    }  # fmt: skip
    said = {
        "quant_method": "gptq", "checkpoint_format": "gptq", "bits": usual, "group_size": GROUP,
        "sym": True, "desc_act": False, "lm_head": "lm_head" in bits, "pack_dtype": "int32",
    }  # fmt: skip
    return {**said, "dynamic": others} if others else said


def _words(codes: Tensor, bits: int) -> Tensor:
    """Codes int32 (n, columns) -> words int32 (n * bits / 32, columns), the first code lowest."""
    parts = codes.unflatten(0, (-1, BLOCK // bits))
    words: Tensor = parts[:, 0].clone()
    for place in range(1, BLOCK // bits):
        words |= parts[:, place] << bits * place
    return words

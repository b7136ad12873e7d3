"""The second level of NVFP4's scales, which lies in a tensor of its own.

    NAME.scale        F32, one number for the matrix, or one for each expert
    NAME.input_scale  the same for what is multiplied with it, where that is rounded to 4 bits too

weight = NAME.scale * scale * number. Activations are not rounded here, so that the other one is not
used. Source: llama.cpp, which multiplies the product, and its converter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .header import Stretch

NVFP4 = 40


def companions(tensors: Mapping[str, Stretch]) -> dict[str, list[str]]:
    """The tensors that belong to matrices of NVFP4, by the matrix's name; the scale comes first.
    Those of other types are left to who knows what they are."""
    found: dict[str, list[str]] = {}
    for name, stretch in tensors.items():
        stem, _, last = name.rpartition(".")
        if last == "weight" and stretch.type == NVFP4 and len(stretch.shape) > 1:
            named = [f"{stem}.{end}" for end in ("scale", "input_scale")]
            if held := [each for each in named if each in tensors]:
                found[name] = held
    return found


def scale_of_rows(numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One number, or one for each of stacked matrices, as a column for all their rows.

    shape: of the matrix, (rows, columns), or (experts, rows, columns) -> (all rows, 1) float32.
    Raises ValueError.
    """
    experts, rows = math.prod(shape[:-2]), shape[-2]
    if numbers.dtype != torch.float32 or numbers.numel() not in {1, experts}:
        raise ValueError(f"{numbers.numel()} numbers of {numbers.dtype} do not belong to {shape}")
    if bad := int(np.count_nonzero(~np.isfinite(numbers.numpy()))):
        raise ValueError(f"{bad} of its {numbers.numel()} numbers are infinite or not numbers")
    return numbers.reshape(-1, 1).expand(experts, rows).reshape(-1, 1).contiguous()

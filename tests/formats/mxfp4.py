"""gpt-oss's MXFP4: stacked experts, a power of two for 32 floats of 4 bits.

weight = number * 2^(scale - 127)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .bits import E2M1, any_codes, pairs, spread
from .folder import as_folder, experts_only, fused
from .record import Format, Matrix, Variant


def make(path: str, weight: Tensor) -> Matrix:
    rows, columns = weight.shape
    codes = any_codes(weight.shape, 4)
    power = torch.randint(-6, -3, (rows, columns // 32))
    scale = spread(torch.ldexp(torch.ones(power.shape), power), weight.shape)
    parts = {
        "blocks": pairs(codes).view(rows, columns // 32, 16),
        "scales": (power + 127).to(torch.uint8),
    }
    return Matrix(parts, E2M1[codes] * scale)


WRITE = as_folder(
    make, {"quant_method": "mxfp4"}, takes=experts_only,
    arrange=fused(lambda path, part: f"{path}_{part}"),
)  # fmt: skip

FORMAT = Format(
    about="`quant_method: mxfp4`: experts only, stacked, in blocks and scales; the rest is as "
    "stored. gpt-oss has it so; here gate lies above up, as these families have them.",
    held="E2M1's number times a power of two",
    variants=(Variant("experts", "stacked", WRITE),),
    lacks=dict.fromkeys(("Llama", "Qwen3", "Phi-3"), "experts only"),
)

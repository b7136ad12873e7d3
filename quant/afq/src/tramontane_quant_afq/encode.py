"""Quantizes as `mx.quantize` does, bit for bit.

    affine   scale is a (2^bits - 1)-th of a group's range, negative where its largest number is
             above 0; the end farther from 0 is the bias, and scale is made to divide it
    mxfp4    scale = 2^ceil(log2(largest / 6)), the nearest of the numbers below it
    mxfp8    scale = 2^ceil(log2(largest / 448))
    nvfp4    scale = largest / 6 as E4M3

MLX computes in the weights' type, which is the first of bfloat16, float16 and float32 that holds
every one of them: a model read from 16 bits has the scales that MLX would give it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .settings import DEFAULTS, Kind

LARGEST = {4: 6.0, 8: 448.0}
"""Of a number with so many bits."""
MIDDLES = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
"""Between the numbers of E2M1; MLX rounds them down."""
EPSILON = 1e-7


def kind_named(kind: str) -> Kind:
    """ "afq4", "mxfp4", ... as a kind; affine has groups of 64."""
    if kind in DEFAULTS and kind != "affine":
        group, bits = DEFAULTS[kind]
        return Kind(kind, bits, group)
    return Kind("affine", int(kind.removeprefix("afq")), 64)


def encode(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """weight: (rows, columns) float32 -> `weight`, `scales` and, if affine, `biases`.

    Raises ValueError for columns that are no multiple of the group, and numbers that are none.
    """
    how = kind_named(kind)
    if weight.ndim != 2 or weight.shape[1] % how.group:
        raise ValueError(f"{kind} needs a multiple of {how.group} columns, not {weight.shape}")
    if not weight.isfinite().all():
        raise ValueError(f"{kind} cannot hold numbers that are infinite or none")
    groups = weight.to(_source(weight)).unflatten(1, (-1, how.group))
    if how.mode == "affine":
        return affine(groups, how.bits)
    return _floats(groups, how)


def _source(weight: Tensor) -> torch.dtype:
    """The type that the weights came in."""
    for dtype in (torch.bfloat16, torch.float16):
        if torch.equal(weight.to(dtype).float(), weight):
            return dtype
    return torch.float32


def affine(groups: Tensor, bits: int) -> dict[str, Tensor]:
    """groups: (rows, groups, group), whose type the scales have."""
    numbers, steps = groups.float(), (1 << bits) - 1
    least, most = numbers.amin(-1), numbers.amax(-1)
    below = least.abs() > most.abs()
    scale = ((most - least) / steps).clamp(min=EPSILON)
    scale = torch.where(below, scale, -scale)
    edge = torch.where(below, least, most)
    far = (edge / scale).round()
    bias = torch.where(far != 0, edge, 0.0)
    scale = torch.where(far != 0, edge / far, scale)
    codes = ((numbers - bias[..., None]) / scale[..., None]).round().clamp(0, steps)
    return {
        "weight": _words(codes.to(torch.uint8).flatten(1), bits),
        "scales": scale.to(groups.dtype),
        "biases": bias.to(groups.dtype),
    }


def _floats(groups: Tensor, how: Kind) -> dict[str, Tensor]:
    largest = groups.abs().amax(-1)
    # the quotient is rounded to the weights' type
    part = (largest / torch.tensor(LARGEST[how.bits], dtype=groups.dtype)).float()
    if how.mode == "nvfp4":
        held = part.clamp(max=LARGEST[8]).to(torch.float8_e4m3fn)
        scale, stored = held.float(), held.view(torch.uint8)
    else:
        # of zeros it is 1; what is too small for a scale wraps around in MLX, and does not here
        power = torch.where(part > 0, part.log2().ceil(), 0.0).clamp(-127, 127)
        scale, stored = power.exp2(), power.add(127).to(torch.uint8)
    each = scale[..., None]
    numbers = torch.where(each == 0, 0.0, groups.float() / each).flatten(1)
    if how.bits == 8:
        most = LARGEST[8]
        codes = numbers.clamp(-most, most).to(torch.float8_e4m3fn).view(torch.uint8)
        return {"weight": codes.view(torch.uint32), "scales": stored}
    codes = torch.bucketize(numbers.abs(), torch.tensor(MIDDLES)).to(torch.uint8)
    codes |= ((numbers < 0) & (codes > 0)).to(torch.uint8) << 3  # there is no -0
    return {"weight": _words(codes, 4), "scales": stored}


def _words(codes: Tensor, bits: int) -> Tensor:
    """Codes (rows, columns) uint8 as a stream of bits, the lowest first: (rows, words) uint32."""
    number = torch.zeros((codes.shape[0], codes.shape[1] // 8), dtype=torch.int64)
    for index in range(8):
        number |= codes[:, index::8].to(torch.int64) << (bits * index)
    raw: Tensor = number.view(torch.uint8).unflatten(1, (-1, 8))[..., :bits].flatten(1)
    return raw.contiguous().view(torch.uint32)


def settings(kinds: Mapping[str, str]) -> dict[str, Any]:
    """The `quantization` of a folder with these kinds of layers, as MLX writes it: what most have,
    and every layer that differs by its path."""
    usual = Counter(kinds.values()).most_common(1)[0][0] if kinds else "afq4"
    own = {path: _said(kind) for path, kind in kinds.items() if kind != usual}
    return {**_said(usual), **own}


def _said(kind: str) -> dict[str, Any]:
    how = kind_named(kind)
    return {"group_size": how.group, "bits": how.bits, "mode": how.mode}

"""Small floats times scales: FP8, NVFP4, MXFP4, MXFP6 and MXFP8.

float-quantized: weight e4m3 (rows, columns), weight_scale of the strategy; weight = number * scale.
nvfp4: weight_packed uint8 (rows, columns / 2), two e2m1 in a byte, the first in its low half;
    weight_scale e4m3 (rows, columns / 16), weight_global_scale float32 (1), which DIVIDES:
    weight = number * (scale / global_scale).
mxfp4, mxfp6, mxfp8: groups of 32 columns, weight_scale uint8, 2^(byte - 127); numbers are e2m1 as
    above, e2m3 as a stream of 6 bits, lowest first, (rows, columns * 3 / 4) bytes, or e4m3.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Codebook, Dense, Layout, float_table, pack
from tramontane.layouts.block_scales import NARROW

from .scales import placed, said
from .scheme import Scheme
from .words import unpack_stream

EIGHT = {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}
PACKED = {"nvfp4-pack-quantized": 4, "mxfp4-pack-quantized": 4, "mxfp6-pack-quantized": 6}


def eight_bits(tensors: Mapping[str, Tensor], scheme: Scheme, path: str) -> Layout:
    """A matrix of one byte a weight. Raises CheckpointError, KeyError for what is missing."""
    weight, scale = tensors["weight"], powers(tensors["weight_scale"])
    if weight.dtype not in EIGHT or weight.ndim != 2:
        raise CheckpointError(f"{path}: its weight is {said(weight)}, not 8-bit floats of rows")
    zero = tensors.get("weight_zero_point")
    if zero is not None and bool((zero.float() != 0).any()):
        raise CheckpointError(f"{path}: zero points of floats are not supported")
    rows, columns = weight.shape
    blocks, view = placed(scheme, rows, columns, scale, path)
    spread = blocks.spread(scale.reshape(view))
    codes, table = weight.view(torch.uint8), float_table(EIGHT[weight.dtype])
    layout = Codebook(8, blocks.group, (codes,), table, spread)
    return layout if blocks.group >= NARROW else Dense(layout.decode())


def packed(tensors: Mapping[str, Tensor], scheme: Scheme, path: str) -> Codebook:
    """A matrix of 4 or 6 bits a weight. Raises CheckpointError, KeyError for what is missing."""
    raw, scale, bits = tensors["weight_packed"], tensors["weight_scale"], PACKED[scheme.format]
    if raw.dtype != torch.uint8 or raw.ndim != 2 or raw.shape[1] * 8 % bits:
        raise CheckpointError(
            f"{path}: weight_packed is {said(raw)}, not bytes of {bits}-bit codes"
        )
    rows, columns = raw.shape[0], raw.shape[1] * 8 // bits
    if scheme.format == "nvfp4-pack-quantized":
        if scale.dtype != torch.float8_e4m3fn:
            raise CheckpointError(f"{path}: its scales are {said(scale)}, not float8_e4m3fn")
        above = tensors["weight_global_scale"]
        if above.numel() != 1 or not above.is_floating_point() or not above.float().item():
            raise CheckpointError(f"{path}: weight_global_scale must be one number other than 0")
        above = above.float().reshape(1, 1).expand(rows, 1)
    else:
        scale, above = powers(scale), None
    blocks, view = placed(scheme, rows, columns, scale, path)
    if blocks.group < NARROW or (bits == 6 and columns % 8):
        raise CheckpointError(f"{path}: groups of {blocks.group} of {columns} columns cannot be")
    codes = (raw,) if bits == 4 else pack(unpack_stream(raw, 6, columns), 6)
    spread = blocks.spread(scale.reshape(view))
    table = float_table("e2m1" if bits == 4 else "e2m3")
    return Codebook(bits, blocks.group, codes, table, spread, above, above is not None)


def powers(scale: Tensor) -> Tensor:
    """Bytes as the powers of two that they mean; other scales as they are."""
    return scale.view(torch.float8_e8m0fnu) if scale.dtype == torch.uint8 else scale

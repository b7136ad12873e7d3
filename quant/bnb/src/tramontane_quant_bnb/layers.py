"""The layers of bitsandbytes: 4-bit codes with scales along the flattened matrix, or int8.

4 bits: weight = table[code] * absmax[place / blocksize], rounded to the state's dtype; the first
code of a byte of `weight` is in its high half. `weight.quant_state.bitsandbytes__nf4` (or fp4) is
JSON: quant_type, blocksize, dtype, shape. With double quantization, in float32,
absmax = nested_quant_map[absmax] * nested_absmax[place / nested_blocksize] + nested_offset.

8 bits: weight = int8 * SCB * 0.007874015718698502 (1 / 127), SCB a row's largest, in float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, Codebook, Dense, Layout

from .state import State, state_of
from .tables import table_of

PART = 7.874015718698502e-3
LEAST = 16
"""Columns of the smallest groups for which backends have kernels."""


def translate(
    tensors: dict[str, Tensor],
    config: dict[str, Any],
    path: str = "the layer",
    shape: tuple[int, ...] | None = None,
    transposed: bool = False,
) -> Layout | None:
    """The (rows, columns) of a layer; dense where blocks and rows do not meet in groups, or the
    family wants it transposed; None for a plain weight. Raises CheckpointError."""
    wanted = (shape[::-1] if transposed else shape) if shape else None
    if "weight" not in tensors:
        raise CheckpointError(f"{path}: weight missing")
    if "SCB" in tensors:
        layout: Layout = _int8(tensors)
    elif any(name.startswith("weight.") for name in tensors):
        layout = _four_bits(tensors, path, wanted)
    elif tensors["weight"].is_floating_point():
        return None
    else:
        raise CheckpointError(f"{path}: it has codes, and neither SCB nor weight.absmax")
    if wanted is not None and layout.shape != tuple(wanted):
        raise CheckpointError(f"it is {layout.shape}, the model wants {tuple(wanted)}")
    if transposed:
        dtype = getattr(layout, "rounded", None) or torch.float32
        return Dense(layout.decode(dtype).T)
    return layout


def _int8(tensors: Mapping[str, Tensor]) -> Affine:
    weight, scale = tensors["weight"], tensors["SCB"]
    if "weight_format" in tensors and (form := int(tensors["weight_format"].reshape(-1)[0])):
        raise CheckpointError(
            f"weight_format {form} is stored for one GPU's kernels; save the model again with "
            "bitsandbytes 0.42 or newer, which stores rows (0)"
        )
    if weight.dtype != torch.int8 or weight.ndim != 2:
        raise CheckpointError(f"weight is {_said(weight)}, SCB needs int8 (rows, columns)")
    if scale.numel() != weight.shape[0] or not scale.is_floating_point():
        raise CheckpointError(f"SCB is {_said(scale)}; {weight.shape[0]} rows need a number each")
    # int8 codes stand around 0, a layout's unsigned ones around 128
    codes = weight.view(torch.uint8) ^ 128
    return Affine(8, weight.shape[1], (codes,), scale.float().view(-1, 1), zero=128, factor=PART)


def _four_bits(
    tensors: Mapping[str, Tensor], path: str, wanted: tuple[int, ...] | None
) -> Codebook | Dense:
    state = state_of(tensors, path)
    (rows, columns), block = state.shape, state.blocksize
    if wanted is not None and state.shape != tuple(wanted):
        raise CheckpointError(f"its state says {state.shape}, the model wants {tuple(wanted)}")
    # other dtypes are the same bytes
    raw = tensors["weight"].contiguous().view(-1).view(torch.uint8)
    if len(raw) != -(-rows * columns // 2):
        raise CheckpointError(
            f"weight has {len(raw)} bytes; {rows} x {columns} numbers of 4 bits need "
            f"{-(-rows * columns // 2)}"
        )
    table, absmax = table_of(state.quant_type), _absmax(tensors, state)
    group = math.gcd(columns, block)
    if group % LEAST:
        return Dense(_dense(raw, table, absmax, state))
    plane = (raw >> 4 | raw << 4).view(rows, columns // 2)
    scale = absmax if group == block else absmax.repeat_interleave(block // group)
    scale = scale[: rows * columns // group].view(rows, columns // group)
    rounded = None if state.dtype == torch.float32 else state.dtype
    return Codebook(4, group, (plane,), table, scale, rounded=rounded)


def _dense(raw: Tensor, table: Tensor, absmax: Tensor, state: State) -> Tensor:
    codes = torch.stack((raw >> 4, raw & 15), -1).flatten()[: math.prod(state.shape)]
    scale = absmax.repeat_interleave(state.blocksize)[: len(codes)]
    return (table[codes.long()] * scale).to(state.dtype).view(state.shape)


def _absmax(tensors: Mapping[str, Tensor], state: State) -> Tensor:
    """A scale for each block of the flattened matrix, float32."""
    absmax = tensors["weight.absmax"].flatten()
    blocks = -(-math.prod(state.shape) // state.blocksize)
    if len(absmax) != blocks:
        raise CheckpointError(
            f"weight.absmax has {len(absmax)} numbers; blocks of {state.blocksize} make {blocks}"
        )
    nested = state.nested
    if nested is None:
        if not absmax.is_floating_point():
            raise CheckpointError(
                f"weight.absmax is {_said(absmax)}, and its state has no nested_blocksize"
            )
        return absmax.float()
    table, above = nested.table, nested.absmax.float().flatten()
    if absmax.dtype != torch.uint8 or len(above) != -(-blocks // nested.blocksize):
        raise CheckpointError(
            f"weight.absmax is {_said(absmax)} and weight.nested_absmax {_said(above)}; nested "
            f"blocks of {nested.blocksize} need uint8 ({blocks},) and "
            f"({-(-blocks // nested.blocksize)},)"
        )
    factor = above.repeat_interleave(nested.blocksize)[:blocks]
    return table[absmax.long()] * factor + nested.offset


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"

"""Linear layers and embeddings on the compiled kernels.

Few tokens: the matrix is read once, as it is packed. Many: blocks of rows are decoded into a
buffer and multiplied by torch, which is faster from about MANY tokens on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import PLANES, Affine, Dense, Layout

from .kernels import affine, dense
from .kernels.vector import group_tag, width_tag
from .running import run

MANY = 16
"""Tokens from which decoding a matrix pays."""
TILE = 1 << 21
"""Weights decoded at once: they stay in the cache until torch has multiplied them."""


def affine_linear(x: Tensor, weight: Layout) -> Tensor:
    """x Wᵀ for an affine layout, computed in float32. A drop-in for `reference.linear`.

    Up to MANY tokens, a token's result does not depend on the others.
    """
    assert isinstance(weight, Affine)
    if x.shape[0] >= MANY:
        return _decode_and_multiply(x, weight)
    inputs = _array(x)
    tokens, columns = inputs.shape
    planes = _planes(weight)
    spread = {}
    for _, width in planes:
        spread[width] = out = np.empty_like(inputs)
        affine.spread(inputs, weight.group, width, out)
    sums = np.empty((tokens, columns // weight.group), np.float32)
    affine.group_sums(inputs, weight.group, sums)
    (low, low_width), (high, high_width) = planes[0], planes[-1]
    if len(planes) == 1:
        high = affine.NO_PLANE
    out = np.empty((tokens, weight.shape[0]), np.float32)
    run(
        tokens * columns * weight.shape[0], affine.matvec,
        low.reshape(-1), width_tag(low_width), high.reshape(-1), width_tag(high_width),
        spread[low_width].reshape(-1), spread[high_width].reshape(-1),
        sums, group_tag(weight.group), weight.zero, *_scales(weight), out,
    )  # fmt: skip
    return torch.from_numpy(out).to(x.dtype)


def affine_embedding(tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
    """Rows of an affine table. A drop-in for `reference.embedding`."""
    assert isinstance(weight, Affine)
    return decode_rows(weight, tokens.numpy()).to(dtype)


def dense_linear(x: Tensor, weight: Layout) -> Tensor:
    """x Wᵀ for float32, bfloat16 and half matrices, computed in float32."""
    assert isinstance(weight, Dense)
    if x.shape[0] >= MANY or x.dtype != torch.float32:
        return reference.linear(x, weight)
    out = np.empty((x.shape[0], weight.shape[0]), np.float32)
    work = x.shape[0] * weight.data.numel()
    if weight.data.dtype == torch.bfloat16:
        bits = weight.data.contiguous().view(torch.uint16).numpy()
        run(work, dense.matvec_bf16, bits, _array(x), out)
    else:
        run(work, dense.matvec, _numbers(weight.data.contiguous()), _array(x), out)
    return torch.from_numpy(out)


def decode_rows(weight: Affine, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
    """The weights of some rows, (rows, columns) float32."""
    planes = _planes(weight)
    (low, low_width), (high, high_width) = planes[0], planes[-1]
    if len(planes) == 1:
        high = affine.NO_PLANE
    out = np.empty((len(rows), weight.shape[1]), np.float32)
    run(
        out.size, affine.decode_rows, low, low_width, high, high_width, weight.group, weight.zero,
        *_scales(weight), rows, out,
    )  # fmt: skip
    return torch.from_numpy(out)


def _decode_and_multiply(x: Tensor, weight: Affine) -> Tensor:
    rows, columns = weight.shape
    step = max(1, TILE // columns)
    out = torch.empty(x.shape[0], rows, dtype=x.dtype)
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        tile = decode_rows(weight, np.arange(start, stop)).to(x.dtype)
        out[:, start:stop] = x @ tile.T
    return out


def _planes(weight: Affine) -> list[tuple[Any, int]]:
    widths = PLANES[weight.bits]
    return [(plane.numpy(), width) for plane, width in zip(weight.codes, widths, strict=True)]


def _scales(weight: Affine) -> tuple[Any, Any, Any, Any]:
    return tuple(
        affine.NONE if tensor is None else _numbers(tensor)
        for tensor in (weight.scale, weight.super_scale, weight.minimum, weight.super_minimum)
    )  # type: ignore[return-value]


def _numbers(tensor: Tensor) -> Any:
    """As numpy has it; halves as their bits, other floats as float32."""
    if tensor.dtype == torch.float16:
        return tensor.view(torch.uint16).numpy()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _array(x: Tensor) -> Any:
    return x.detach().float().contiguous().numpy()

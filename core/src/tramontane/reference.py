"""Plain torch for every operation that a backend may have a kernel for: slow, right, any device.

A kernel is a function of the same signature; backends put theirs on a block's `kernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .layouts import Dense, Layout

if TYPE_CHECKING:
    from .engine.batch import Batch
    from .engine.kv_cache import LayerCache

CHUNK = 1 << 24
"""Weights decoded at once: bounds the memory that a packed matrix takes while it multiplies."""


def linear(x: Tensor, weight: Layout) -> Tensor:
    """x Wᵀ. x: (tokens, columns), weight: (rows, columns) -> (tokens, rows) in x's dtype."""
    if isinstance(weight, Dense):
        return F.linear(x, weight.data.to(x.dtype))
    rows, columns = weight.shape
    step = max(1, CHUNK // columns)
    if rows <= step:
        return F.linear(x, weight.decode(x.dtype))
    parts = [
        F.linear(x, weight.rows(slice(start, start + step)).decode(x.dtype))
        for start in range(0, rows, step)
    ]
    return torch.cat(parts, -1)


def embedding(tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
    """Rows of a table. tokens: (n) ids -> (n, columns)."""
    return weight.rows(tokens).decode(dtype)


def attention(
    q: Tensor,
    cache: LayerCache,
    batch: Batch,
    scale: float,
    window: int | None,
) -> Tensor:
    """Each token against its own sequence's cache, up to and with itself.

    q: (tokens, heads, d_head) -> (tokens, heads, d_value). window: how many tokens back a token
    sees, itself included; None: all.
    """
    parts = []
    for span in batch.spans:
        keys, values = cache.gather(span.blocks, span.length)  # (length, kv_heads, d)
        rows = slice(span.start, span.start + span.count)
        position = torch.arange(span.length - span.count, span.length, device=q.device)[:, None]
        column = torch.arange(span.length, device=q.device)
        seen = column <= position
        if window is not None:
            seen &= column > position - window
        groups = q.shape[1] // keys.shape[1]
        mixed = F.scaled_dot_product_attention(
            q[rows].transpose(0, 1),
            keys.to(q.dtype).repeat_interleave(groups, 1).transpose(0, 1),
            values.to(q.dtype).repeat_interleave(groups, 1).transpose(0, 1),
            attn_mask=seen,
            scale=scale,
        )
        parts.append(mixed.transpose(0, 1))
    return torch.cat(parts)

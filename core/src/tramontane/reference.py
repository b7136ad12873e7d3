"""Reference implementations in plain torch of all operations that a backend may have kernels for.

A kernel is a function with the same signature; backends assign it to a block's `kernel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .layouts import Dense, Layout

if TYPE_CHECKING:
    from .engine.batch import Batch
    from .engine.kv_cache import LayerCache

CHUNK = 1 << 24
"""Weights decoded at once, which bounds the temporary memory of a product with packed weights."""


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


def grouped_linear(x: Tensor, counts: Tensor, weight: Layout) -> Tensor:
    """x Wᵀ with a different matrix for each group of consecutive rows.

    x: (rows, columns), counts: (matrices) number of rows in each group, weight:
    (matrices * n_out, columns) -> (rows, n_out) in x's dtype. Matrices without rows are not read.
    """
    n_out = weight.shape[0] // len(counts)
    parts, start = [], 0
    for index, count in enumerate(counts.tolist()):
        if count:
            matrix = weight.rows(slice(index * n_out, (index + 1) * n_out))
            parts.append(linear(x[start : start + count], matrix))
            start += count
    return torch.cat(parts) if parts else x.new_empty(0, n_out)


def embedding(tokens: Tensor, weight: Layout, dtype: torch.dtype) -> Tensor:
    """Rows of the embedding table. tokens: (n) ids, weight: (vocabulary, columns) -> (n, columns)
    in `dtype`."""
    return weight.rows(tokens).decode(dtype)


def attention(
    q: Tensor,
    cache: LayerCache,
    batch: Batch,
    scale: float,
    window: int | None,
    softcap: float | None = None,
    alibi: Sequence[float] | None = None,
    sinks: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Causal attention of each token over its own sequence's cache, including the token itself.

    q: (tokens, heads, d_head) -> (tokens, heads, d_value). window: number of tokens that a token
    attends to, itself included; None: all. softcap: scores are softcap * tanh(score / softcap),
    after `scale`. alibi: (heads) slopes, subtracted from scores per token of distance. sinks:
    (heads) one more score in each token's softmax, whose weight is dropped. chunk: a token sees no
    further back than to the last multiple of so many tokens; None: no such border.
    """
    parts = []
    q = cache.queries(q)
    for span in batch.spans:
        keys, values = cache.gather(span.blocks, span.length)  # (length, kv_heads, d)
        rows = slice(span.start, span.start + span.count)
        position = torch.arange(span.length - span.count, span.length, device=q.device)[:, None]
        column = torch.arange(span.length, device=q.device)
        seen = column <= position
        for start, end in span.mutual:
            mutual = (position >= start) & (position < end)
            seen = seen | mutual & (column >= start) & (column < end)
        if window is not None:
            seen &= column > position - window
        if chunk is not None:
            seen &= column >= position - position % chunk
        groups = q.shape[1] // keys.shape[1]
        queries = q[rows].transpose(0, 1)  # (heads, count, d)
        keys = keys.to(q.dtype).repeat_interleave(groups, 1).transpose(0, 1)
        values = values.to(q.dtype).repeat_interleave(groups, 1).transpose(0, 1)
        mask = seen if alibi is None else _falling(alibi, position - column, seen, q.dtype)
        if softcap is None and sinks is None:
            mixed = F.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, scale=scale
            )
        else:
            scores = (queries @ keys.mT).float()
            if softcap is None:
                scores = scores * scale
            else:
                scores = softcap * torch.tanh(scores * (scale / softcap))
            scores = scores.masked_fill(~seen, float("-inf")) if alibi is None else scores + mask
            if sinks is not None:
                column = sinks.float()[:, None, None].expand(-1, span.count, 1)
                scores = torch.cat((scores, column), -1)
            mixed = scores.softmax(-1)[..., : span.length].to(q.dtype) @ values
        parts.append(mixed.transpose(0, 1))
    return torch.cat(parts)


def latent_attention(
    asked: Tensor, turned: Tensor, cache: LayerCache, batch: Batch, scale: float
) -> Tensor:
    """Causal multi-head latent attention of each token over its own sequence's cached latents.

    The cache's values are the latents, its keys the rotary part of the keys, one head of each.
    asked: (tokens, heads, rank) queries for the latents, turned: (tokens, heads, d) rotary
    queries -> (tokens, heads, rank).
    """
    parts = []
    turned = cache.queries(turned)
    for span in batch.spans:
        keys, latents = cache.gather(span.blocks, span.length)  # (length, 1, d), (length, 1, rank)
        rows = slice(span.start, span.start + span.count)
        position = torch.arange(span.length - span.count, span.length, device=asked.device)[:, None]
        seen = torch.arange(span.length, device=asked.device) <= position
        values = latents.to(asked.dtype).transpose(0, 1)
        joined = torch.cat((values, keys.to(asked.dtype).transpose(0, 1)), -1)
        queries = torch.cat((asked[rows], turned[rows]), -1).transpose(0, 1)
        heads = (len(queries), -1, -1)
        mixed = F.scaled_dot_product_attention(
            queries, joined.expand(heads), values.expand(heads), attn_mask=seen, scale=scale
        )
        parts.append(mixed.transpose(0, 1))
    return torch.cat(parts)


def _falling(alibi: Sequence[float], distance: Tensor, seen: Tensor, dtype: torch.dtype) -> Tensor:
    """ALiBi biases with the causal mask, (heads, tokens, length), to be added to scores."""
    slopes = torch.tensor(alibi, dtype=torch.float32, device=distance.device)[:, None, None]
    return (-slopes * distance).masked_fill(~seen, float("-inf")).to(dtype)

"""Attention on the compiled kernel where sequences decode, on the reference where they prefill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tramontane import reference
from tramontane.engine.batch import Batch, Span
from tramontane.engine.kv_cache import LayerCache

from .kernels import attention as kernels
from .running import run


def attention(
    q: Tensor, cache: LayerCache, batch: Batch, scale: float, window: int | None
) -> Tensor:
    """A drop-in for `reference.attention`. A sequence's way does not depend on its neighbours."""
    if q.dtype != torch.float32 or cache.keys.dtype != torch.float32:
        return reference.attention(q, cache, batch, scale, window)
    decoding = [span for span in batch.spans if span.count == 1]
    if len(decoding) == len(batch.spans):
        return _decode(q, cache, decoding, batch.cache.block_size, scale, window)
    out = torch.empty(*q.shape[:2], cache.values.shape[-1])
    if decoding:
        rows = torch.tensor([span.start for span in decoding])
        block_size = batch.cache.block_size
        out[rows] = _decode(q[rows], cache, decoding, block_size, scale, window)
    for span in batch.spans:
        if span.count != 1:
            alone = replace(batch, spans=[replace(span, start=0)])
            rows_of = slice(span.start, span.start + span.count)
            out[rows_of] = reference.attention(q[rows_of], cache, alone, scale, window)
    return out


def _decode(
    q: Tensor,
    cache: LayerCache,
    spans: Sequence[Span],
    block_size: int,
    scale: float,
    window: int | None,
) -> Tensor:
    """q: (sequences, heads, d), one new token of each."""
    tables = np.zeros((len(spans), max(len(span.blocks) for span in spans)), np.int64)
    for row, span in enumerate(spans):
        tables[row, : len(span.blocks)] = span.blocks
    lengths = np.array([span.length for span in spans], np.int64)
    queries = q.contiguous().numpy()
    out = np.empty((*queries.shape[:2], cache.values.shape[-1]), np.float32)
    work = int(lengths.sum()) * queries.shape[1] * queries.shape[2]
    run(
        work, kernels.decode, queries, cache.keys.numpy(), cache.values.numpy(), tables, lengths,
        block_size, np.float32(scale), window or 0, out,
    )  # fmt: skip
    return torch.from_numpy(out)

"""Attention on the compiled kernel where sequences decode, on the reference where they prefill."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tramontane import reference
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import LayerCache

from .kernels import attention as kernels
from .running import run


def attention(
    q: Tensor, cache: LayerCache, batch: Batch, scale: float, window: int | None
) -> Tensor:
    """A drop-in for `reference.attention`."""
    if q.dtype != torch.float32 or cache.keys.dtype != torch.float32:
        return reference.attention(q, cache, batch, scale, window)
    if any(span.count != 1 for span in batch.spans):
        return reference.attention(q, cache, batch, scale, window)
    tables = np.zeros((len(batch.spans), max(len(s.blocks) for s in batch.spans)), np.int64)
    for row, span in enumerate(batch.spans):
        tables[row, : len(span.blocks)] = span.blocks
    lengths = np.array([span.length for span in batch.spans], np.int64)
    queries = q.contiguous().numpy()
    out = np.empty((*queries.shape[:2], cache.values.shape[-1]), np.float32)
    run(
        kernels.decode, queries, cache.keys.numpy(), cache.values.numpy(), tables, lengths,
        batch.cache.block_size, np.float32(scale), window or 0, out,
    )  # fmt: skip
    return torch.from_numpy(out)

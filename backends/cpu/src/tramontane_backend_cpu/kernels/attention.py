"""Attention of one new token per sequence over the paged cache (online softmax, one pass)."""

from __future__ import annotations

import numpy as np

from tramontane_backend_cpu.numba_setup import parallel, prange


@parallel
def decode(q, keys, values, tables, lengths, block_size, scale, window, out):  # type: ignore[no-untyped-def]
    """q, out: (sequences, heads, d). keys, values: (slots, kv_heads, d) float32. tables:
    (sequences, blocks). lengths: (sequences), the new token included. window: 0 for none.

    A sequence's result depends on nothing but its own row, table and length.
    """
    sequences, heads, d = q.shape
    kv_heads = keys.shape[1]
    per_group = heads // kv_heads
    for job in prange(sequences * heads):
        sequence, head = job // heads, job % heads
        group = head // per_group
        length = lengths[sequence]
        first = max(0, length - window) if window > 0 else 0
        most = np.float32(-np.inf)
        total = np.float32(0)
        mixed = np.zeros(d, np.float32)
        for position in range(first, length):
            block = tables[sequence, position // block_size]
            slot = block * block_size + position % block_size
            score = np.float32(0)
            for i in range(d):
                score += q[sequence, head, i] * keys[slot, group, i]
            score *= scale
            if score > most:
                shrink = np.exp(most - score)
                total *= shrink
                for i in range(d):
                    mixed[i] *= shrink
                most = score
            weight = np.exp(score - most)
            total += weight
            for i in range(d):
                mixed[i] += weight * values[slot, group, i]
        for i in range(d):
            out[sequence, head, i] = mixed[i] / total

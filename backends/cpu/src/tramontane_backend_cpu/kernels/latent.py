"""Scores against latents, for attention whose values are also most of its keys.

Latents are stored token after token, so their products with queries are those of a dense matrix
with vectors: tiles of tokens by queries, as in `kernels/dense.py`.
"""

from __future__ import annotations

from typing import Any

from tramontane_backend_cpu.numba_setup import njit
from tramontane_backend_cpu.vector.gemm_tile import outer_sum, outer_sum_some, put_sums, zeros
from tramontane_backend_cpu.vector.memory import SIZES
from tramontane_backend_cpu.vector.target import SET

BLOCK = 16
"""Tokens of a cache block."""


def latent_scores(kind: str) -> Any:
    """The function that adds the products of a block's latents with float32 queries to the scores
    of its tokens; `row_bytes` is the distance from one query's scores to the next one's."""
    rows, columns = SET.dense_tile
    size = SIZES[kind]

    @njit
    def add(latents, rank, queries_at, queries, scores, row_bytes):  # type: ignore[no-untyped-def]
        full = rank // 16 * 16
        for token in range(0, BLOCK, rows):
            tokens = min(rows, BLOCK - token)
            w = latents + token * rank * size
            for first in range(0, queries, columns):
                vectors = min(columns, queries - first)
                x = queries_at + first * rank * 4
                total = zeros(rows, columns)
                for i in range(0, full, 16):
                    total = outer_sum(
                        kind, rows, columns, total, w, rank * size, tokens, x, rank * 4, vectors, i
                    )
                if full < rank:
                    total = outer_sum_some(
                        kind, rows, columns, total, w, rank * size, tokens, x, rank * 4, vectors,
                        full, rank - full,
                    )  # fmt: skip
                to = scores + first * row_bytes + 4 * token
                put_sums(rows, columns, total, tokens, vectors, to, row_bytes, 0, 0, 1)

    return add

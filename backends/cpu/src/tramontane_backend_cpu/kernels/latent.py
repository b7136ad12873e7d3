"""Scores against latents, for attention whose values are also most of its keys.

Latents lie token after token, so their products with queries are those of a plain matrix with
vectors: tiles of tokens by queries, as in `kernels/dense.py`.
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
    """The function that adds to the scores of a block's tokens, `row_bytes` from one query to the
    next, the products of its latents with so many queries of float32."""
    across, deep = SET.dense_tile
    size = SIZES[kind]

    @njit
    def add(latents, rank, asked, queries, scores, row_bytes):  # type: ignore[no-untyped-def]
        whole = rank // 16 * 16
        for token in range(0, BLOCK, across):
            here = min(across, BLOCK - token)
            w = latents + token * rank * size
            for first in range(0, queries, deep):
                vectors = min(deep, queries - first)
                x = asked + first * rank * 4
                total = zeros(across, deep)
                for i in range(0, whole, 16):
                    total = outer_sum(
                        kind, across, deep, total, w, rank * size, here, x, rank * 4, vectors, i
                    )
                if whole < rank:
                    total = outer_sum_some(
                        kind, across, deep, total, w, rank * size, here, x, rank * 4, vectors,
                        whole, rank - whole,
                    )  # fmt: skip
                to = scores + first * row_bytes + 4 * token
                put_sums(across, deep, total, here, vectors, to, row_bytes, 0, 0, 1)

    return add

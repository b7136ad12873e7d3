"""Matrix times few vectors, the matrix in floats that are widened in registers."""

from __future__ import annotations

import numpy as np

from tramontane_backend_cpu.numba_setup import parallel, prange

from .half import bf16, number


@parallel
def matvec(weight, x, out):  # type: ignore[no-untyped-def]
    """out (tokens, rows) = x Wᵀ. weight: (rows, columns) of float32, or the bits of halves."""
    for row in prange(weight.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for i in range(x.shape[1]):
                total += number(weight[row, i]) * x[t, i]
            out[t, row] = total


@parallel
def matvec_bf16(weight, x, out):  # type: ignore[no-untyped-def]
    """The same for the bits of bfloat16."""
    for row in prange(weight.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for i in range(x.shape[1]):
                total += bf16(weight[row, i]) * x[t, i]
            out[t, row] = total

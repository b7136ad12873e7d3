"""Every encoder, and a matrix's blocks, made on all cores.

A matrix is cut into runs of rows that fit a cache; numpy releases Python's lock in each.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tramontane.layouts import Layout

from tramontane_quant_gguf.formats.table import FORMATS

from . import iq4, k_quants, simple
from .search import Floats, sums

Encode: TypeAlias = Callable[[Floats, Floats | None], NDArray[np.uint8]]
AT_ONCE = 1 << 16
"""Weights in a run."""


ENCODERS: dict[str, Encode] = {
    "q4_0": simple.q4_0,
    "q4_1": simple.q4_1,
    "q5_0": simple.q5_0,
    "q5_1": simple.q5_1,
    "q8_0": simple.q8_0,
    "q2_k": k_quants.q2_k,
    "q3_k": k_quants.q3_k,
    "q4_k": k_quants.q4_k,
    "q5_k": k_quants.q5_k,
    "q6_k": k_quants.q6_k,
    "iq4_nl": iq4.iq4_nl,
    "iq4_xs": iq4.iq4_xs,
}
"""By the type's name in lower case. Without importance the first five make ggml's bits."""
BY_ROWS = ("q4_0", "q4_1", "q5_0", "q5_1")
"""Those that are given how much errors count, by the mean square of a whole row."""
TYPES = {name.lower(): kind for kind, (name, *_) in FORMATS.items()}


def quantize(weight: Tensor, kind: str, importance: Tensor | None = None) -> Layout:
    """A matrix (rows, columns) in float32 as the layout of a type. importance: (columns) mean
    squares of what each column is multiplied with. Raises ValueError; see `encode_blocks`."""
    rows, columns = weight.shape
    blocks = encode_blocks(weight, kind, importance)
    return FORMATS[TYPES[kind]][3](blocks.reshape(-1), rows, columns)


def encode_blocks(weight: Tensor, kind: str, importance: Tensor | None = None) -> NDArray[np.uint8]:
    """A matrix (rows, columns) in float32 as the blocks of a type: (rows, bytes of a row).

    importance: (columns) or None. Raises ValueError for an unknown type, columns that do not make
    whole blocks, and numbers that are not finite.
    """
    if kind not in ENCODERS:
        raise ValueError(f"{kind!r} is none of {', '.join(ENCODERS)}")
    name, block, size, _ = FORMATS[TYPES[kind]]
    rows, columns = weight.shape
    if columns % block:
        smaller = "q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl"
        way_out = f"; {smaller} has blocks of 32" if columns % 32 == 0 and block > 32 else ""
        raise ValueError(
            f"{columns} columns do not make whole blocks of {block}, which {name} has{way_out}"
        )
    x = weight.detach().to(torch.float32).contiguous().numpy()
    if not np.isfinite(x).all():
        raise ValueError("some of its numbers are infinite or not numbers")
    counts = None if importance is None else _counts(importance, columns)
    out = np.empty((rows, columns // block * size), np.uint8)
    step = max(1, AT_ONCE // columns)

    def run(start: int) -> None:
        part = x[start : start + step]
        weights = None
        if counts is not None:
            weights = np.broadcast_to(counts, part.shape)
            if kind in BY_ROWS:
                squares = part * part
                weights = weights * np.sqrt(sums(squares) / np.float32(columns) + squares)
            weights = weights.reshape(-1, block)
        with np.errstate(over="ignore"):
            made = ENCODERS[kind](part.reshape(-1, block), weights)
        out[start : start + step] = made.reshape(len(part), -1)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(run, range(0, rows, step)))
    return out


def _counts(importance: Tensor, columns: int) -> Floats:
    """Importance as it is used. Raises ValueError."""
    found = importance.detach().to(torch.float32).numpy()
    if found.shape != (columns,):
        raise ValueError(f"its importance has shape {found.shape}, the matrix {columns} columns")
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError("its importance has negative numbers, or such that are not finite")
    # a column that nothing was multiplied with still has some weight, as no sum may be 0
    out: Floats = np.maximum(found, max(float(found.max()) * 1e-8, 1e-30)).astype(np.float32)
    return out

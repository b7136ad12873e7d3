"""Attention of encoders: of patches within a picture or window, of tokens within a text.

The recorded step's attention does it: each picture is a sequence of its own, whose keys and values
lie in blocks as in a cache, and whose rows see to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.blocks.text_attention import attend_texts as written
from tramontane.engine.batch import Batch, Numbers, Span

from .eager import alone
from .step.lower import lower
from .step.memory import aligned
from .step.pool import Pool

BLOCK = 16
"""Rows of a block."""


@dataclass
class _Layer:
    """What the kernels ask of a layer's cache."""

    keys: Tensor
    values: Tensor
    kv_heads: int
    d_key: int
    d_value: int
    stored: torch.dtype = torch.float32
    pages: None = None


class _Blocks:
    """What they ask of a whole cache."""

    block_size, windows, states = BLOCK, (), ()
    device = torch.device("cpu")

    def __init__(self, k: Tensor, v: Tensor, slots: Tensor, blocks: int) -> None:
        heads, d_key, d_value = k.shape[1], k.shape[2], v.shape[2]
        self.blocks = blocks
        # (blocks, heads, d, 16) and (blocks, heads, 16, d)
        keys = _in_blocks(k, slots, blocks, (0, 2, 3, 1))
        values = _in_blocks(v, slots, blocks, (0, 2, 1, 3))
        self.layers = {0: _Layer(keys, values, heads, d_key, d_value)}


def _in_blocks(x: Tensor, slots: Tensor, blocks: int, order: tuple[int, ...]) -> Tensor:
    """x: (rows, heads, d), each row at its slot, the rest zeros; the dimensions (blocks, 16, heads,
    d) in an order."""
    if len(x) < blocks * BLOCK:
        wide = x.new_zeros(blocks * BLOCK, *x.shape[1:])
        x = wide.index_copy_(0, slots, x)
    whole = x.unflatten(0, (blocks, BLOCK)).permute(order)
    found = torch.from_numpy(aligned(whole.numel(), np.float32)).view(whole.shape)
    return found.copy_(whole)


def attend_packed(pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `tramontane.blocks.vision.packed_attention`."""

    def attention(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
        return _attend(pool, q, k, v, lengths, q.shape[2] ** -0.5, None)

    return attention


def attend_texts(pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `tramontane.blocks.text_attention.attend_texts`, which does what has a bias."""

    def attention(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        lengths: Sequence[int],
        *,
        scale: float,
        side: int | None = None,
        bias: Callable[[int], Tensor] | None = None,
    ) -> Tensor:
        if bias is not None:
            return written(q, k, v, lengths, scale=scale, side=side, bias=bias)
        return _attend(pool, q, k, v, lengths, scale, side)

    return attention


def _attend(
    pool: Pool,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Sequence[int],
    scale: float,
    side: int | None,
) -> Tensor:
    """side: tokens that one sees before and behind itself; None: all of its own text."""
    spans: list[Span] = []
    slots: list[Tensor] = []
    start = block = 0
    for length in lengths:
        count = -(-length // BLOCK)
        blocks = range(block, block + count)
        span = Span(start, length, length, blocks, mutual=((0, length),))
        # a longer text's rows see different tokens, and are tiles of their own
        span.ahead = side
        spans.append(span)
        slots.append(torch.arange(block * BLOCK, block * BLOCK + length))
        start, block = start + length, block + count
    places = torch.cat(slots)
    cache: Any = _Blocks(k.float(), v.float(), places, block)
    told = list(range(start))
    batch = Batch(spans, Numbers(told, told, places.tolist(), []), cache)
    window = None if side is None else side + 1
    about = {"layer": 0, "scale": scale, "window": window}
    names, width = ("attention", "merge_splits"), q.shape[1] * v.shape[2]
    return alone(pool, names, lower, [q], width, batch, about).to(q.dtype)

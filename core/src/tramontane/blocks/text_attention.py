"""Attention within each of several texts, one after the other in the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend_texts(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Sequence[int],
    *,
    scale: float,
    side: int | None = None,
    bias: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """softmax(q kᵀ scale + bias) v within each text: q (rows, heads, d), k and v (rows, kv_heads,
    d) -> (rows, heads * d). lengths: rows of each text. side: tokens that one sees before and
    behind itself; None: all. bias: (length) -> (heads, length, length)."""
    found = []
    for q_of, k_of, v_of in zip(*(each.split(list(lengths)) for each in (q, k, v)), strict=True):
        length = len(q_of)
        mask = None
        if side is not None and side < length - 1:
            at = torch.arange(length, device=q.device)
            mask = (at[:, None] - at[None]).abs() <= side
        if bias is not None:
            mask = bias(length).to(q.dtype)
        out = F.scaled_dot_product_attention(
            q_of.transpose(0, 1)[None], k_of.transpose(0, 1)[None], v_of.transpose(0, 1)[None],
            mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        found.append(out[0].transpose(0, 1).flatten(1))
    return torch.cat(found)


class TextAttention(nn.Module):
    """`attend_texts` by a backend's kernel where it has one. It has no tensors. scale: None means 1
    / sqrt(d)."""

    kernel: Callable[..., Tensor]

    def __init__(self, d_head: int, *, scale: float | None = None, side: int | None = None) -> None:
        super().__init__()
        self.scale = d_head**-0.5 if scale is None else scale
        self.side = side
        self.kernel = attend_texts

    def forward(self, q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
        return self.kernel(q, k, v, lengths, scale=self.scale, side=self.side)

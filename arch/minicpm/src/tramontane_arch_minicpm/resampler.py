"""MiniCPM-V's resampler: learned queries look at an image's patches, which have positions of sines
and cosines in two directions."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import LayerNorm, Linear

HEAD = 128
"""Numbers of a head."""


def waves(places: int, width: int) -> Tensor:
    """(places, width): of each place the sines, then the cosines, of `width` / 2 frequencies."""
    powers = np.arange(width // 2, dtype=np.float32) / np.float32(width / 2.0)
    angles = np.outer(np.arange(places, dtype=np.float32), 1.0 / 10_000**powers)
    return torch.from_numpy(np.concatenate((np.sin(angles), np.cos(angles)), 1))


def positions(down: int, across: int, width: int) -> Tensor:
    """(down * across, width), row by row: the place in its row, then the row."""
    columns, rows = waves(across, width // 2), waves(down, width // 2)
    both = columns.expand(down, -1, -1), rows[:, None].expand(-1, across, -1)
    return torch.cat(both, -1).flatten(0, 1)


class QueriesLook(nn.Module):
    """torch's MultiheadAttention. Tensors: in_proj (3 * hidden, hidden), out_proj (hidden,
    hidden)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.in_proj = Linear(hidden, 3 * hidden, bias=True)
        self.out_proj = Linear(hidden, hidden, bias=True)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(queries, hidden), (patches, hidden) twice -> (queries, hidden)."""
        hidden = queries.shape[1]
        q, k, v = (
            self.in_proj(x)[:, part * hidden : (part + 1) * hidden]
            .unflatten(-1, (-1, HEAD))
            .transpose(0, 1)[None]
            for part, x in enumerate((queries, keys, values))
        )
        mixed = F.scaled_dot_product_attention(q, k, v)[0]
        out: Tensor = self.out_proj(mixed.transpose(0, 1).flatten(1))
        return out


class Resampler(nn.Module):
    """(patches, vision hidden) -> (queries, hidden). Tensors: query (queries, hidden), kv_proj
    (hidden, vision hidden) where these differ, ln_q, ln_kv, attn, ln_post, proj (hidden, hidden),
    by which rows are multiplied from the right."""

    def __init__(self, hidden: int, seen: int, queries: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.query = nn.Parameter(torch.empty(queries, hidden), requires_grad=False)
        self.kv_proj = Linear(seen, hidden, bias=False) if seen != hidden else nn.Identity()
        self.attn = QueriesLook(hidden)
        self.ln_q, self.ln_kv, self.ln_post = (LayerNorm(hidden, 1e-6) for _ in range(3))
        self.proj = nn.Parameter(torch.empty(hidden, hidden), requires_grad=False)

    def forward(self, patches: Tensor, down: int, across: int) -> Tensor:
        x = self.ln_kv(self.kv_proj(patches))
        places = positions(down, across, self.hidden).to(x)
        q = self.ln_q(self.query.to(x.dtype))
        out: Tensor = self.ln_post(self.attn(q, x + places, x)) @ self.proj.to(x.dtype)
        return out

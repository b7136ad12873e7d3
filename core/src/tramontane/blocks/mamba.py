"""Mamba (Gu and Dao 2023): a mixer that keeps a few numbers for each channel, and no keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear
from .recurrent import SelectiveScan, ShortConv

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class Mamba(nn.Module):
    """A state space of each channel by itself, (tokens, hidden) -> (tokens, hidden).

    x and z come of in_proj; x = silu(conv1d(x)); dt, B and C of x_proj x; dt = softplus(dt_proj
    dt); S = exp(-exp(A_log) dt) S + dt x B; y = S · C + D x; the result is out_proj(y silu(z)).

    inner: channels. state: numbers of each. rank: of dt before dt_proj. width: of the convolution.
    bias: of in_proj and out_proj. norm: (dim) -> a norm over dim, for dt before dt_proj, B and C;
    None: none.

    Tensors: in_proj (2 * inner, hidden): x, then z; conv1d (inner, width); x_proj (rank + 2 *
    state, inner): dt, B, C; dt_proj (inner, rank) and its bias; A_log (inner, state); D (inner);
    out_proj (hidden, inner); with norm dt_layernorm (rank), b_layernorm and c_layernorm (state).
    States: conv and recurrent (state, inner).
    """

    def __init__(
        self,
        hidden: int,
        index: int,
        *,
        inner: int,
        state: int,
        rank: int,
        width: int,
        bias: bool = False,
        conv_bias: bool = True,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.parts = [rank, state, state]
        self.in_proj = Linear(hidden, 2 * inner, bias=bias, split="column")
        self.conv1d = ShortConv(inner, width, index, bias=conv_bias)
        self.x_proj = Linear(inner, sum(self.parts), split="row")
        self.dt_proj = Linear(rank, inner, bias=True, split="column")
        self.A_log = nn.Parameter(torch.empty(inner, state), requires_grad=False)
        self.D = nn.Parameter(torch.empty(inner), requires_grad=False)
        self.scan = SelectiveScan(inner, state, index)
        self.out_proj = Linear(inner, hidden, bias=bias, split="row")
        self.dt_layernorm = None if norm is None else norm(rank)
        self.b_layernorm = None if norm is None else norm(state)
        self.c_layernorm = None if norm is None else norm(state)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed, gate = self.in_proj(x).chunk(2, -1)
        mixed = F.silu(self.conv1d(mixed, batch))
        dt, b, c = self.x_proj(mixed).split(self.parts, -1)
        if self.dt_layernorm and self.b_layernorm and self.c_layernorm:
            dt, b, c = self.dt_layernorm(dt), self.b_layernorm(b), self.c_layernorm(c)
        step = F.softplus(self.dt_proj(dt).float())
        values = mixed.float()
        out = self.scan(values, step, -self.A_log.float().exp(), b, c, batch)
        out = (out + values * self.D.float()) * F.silu(gate.float())
        return self.out_proj(out.to(x.dtype))  # type: ignore[no-any-return]

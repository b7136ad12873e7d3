"""Mamba-2 (Dao and Gu 2024): a mixer that keeps a matrix for each head, and no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear
from .recurrent import DeltaRule, ShortConv

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class Mamba2(nn.Module):
    """A state space with one decay for each head, (tokens, hidden) -> (tokens, hidden).

    dt = softplus(dt + dt_bias) within dt_limit; S = exp(-exp(A_log) dt) S + B ⊗ dt x; y = C S + D
    x; the result is out_proj(norm(y silu(z))).

    heads: of x, each of `d_head` numbers, `inner` together. groups: of B and C, each of `state`
    numbers, that serve heads / groups consecutive heads; and of the norm. gate_first: whether z
    multiplies before the norm; otherwise after it. norm: False for none. bias: of in_proj, and of
    out_proj where out_bias is None.

    Tensors: in_proj (inner + channels + heads, hidden): z, then x, B and C, then dt; conv1d
    (channels, width), with channels = inner + 2 * groups * state; A_log, D and dt_bias (heads);
    norm (inner); out_proj (hidden, inner). States: conv and recurrent (heads, state, d_head).
    """

    def __init__(
        self,
        hidden: int,
        index: int,
        *,
        heads: int,
        d_head: int,
        state: int,
        groups: int,
        width: int,
        eps: float,
        bias: bool = False,
        out_bias: bool | None = None,
        conv_bias: bool = True,
        dt_limit: tuple[float, float] | None = None,
        gate_first: bool = True,
        norm: bool = True,
    ) -> None:
        super().__init__()
        inner = heads * d_head
        self.widths = [inner, groups * state, groups * state]
        self.parts = [inner, sum(self.widths), heads]
        self.d_head, self.state, self.groups = d_head, state, groups
        self.dt_limit, self.gate_first = dt_limit, gate_first
        self.in_proj = Linear(hidden, sum(self.parts), bias=bias, split="column")
        self.conv1d = ShortConv(sum(self.widths), width, index, bias=conv_bias)
        self.A_log = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.D = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.dt_bias = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.rule = DeltaRule(heads, state, d_head, index)
        self.norm = GroupRMSNorm(inner, groups, eps) if norm else None
        out_bias = bias if out_bias is None else out_bias
        self.out_proj = Linear(inner, hidden, bias=out_bias, split="row")

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        z, mixed, dt = self.project(x).split(self.parts, -1)
        values, b, c = F.silu(self.conv1d(mixed, batch)).split(self.widths, -1)
        values = values.unflatten(-1, (-1, self.d_head)).float()
        b, c = (each.unflatten(-1, (-1, self.state)) for each in (b, c))
        step = F.softplus(dt.float() + self.dt_bias.float())
        if self.dt_limit is not None:
            step = step.clamp(*self.dt_limit)
        decay = torch.exp(step * -self.A_log.float().exp())
        out = self.rule(c, b, values * step[..., None], decay, None, batch)
        out = out + values * self.D.float()[:, None]
        out = out.flatten(-2)
        gate = F.silu(z.float())
        if self.gate_first:
            out = self._normal(out * gate).to(x.dtype)
        else:
            out = (self._normal(out) * gate).to(x.dtype)
        return self.out_proj(out)  # type: ignore[no-any-return]

    def project(self, x: Tensor) -> Tensor:
        """x: (tokens, hidden) -> z, then x, B and C, then dt, one beside the other. Override it for
        scales of them."""
        return self.in_proj(x)  # type: ignore[no-any-return]

    def _normal(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)


class GroupRMSNorm(nn.Module):
    """`RMSNorm` of each of `groups` equal parts by itself, (..., dim) -> the same.

    weight: (dim).
    """

    def __init__(self, dim: int, groups: int, eps: float) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.empty(dim), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.float().unflatten(-1, (self.groups, -1))
        normal = F.rms_norm(parts, parts.shape[-1:], None, self.eps).flatten(-2)
        return self.weight * normal.to(x.dtype)

"""RWKV-7's time mix (Peng et al. 2025), which stands where others have attention."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import GeneralizedDeltaRule, Linear, TokenShift
from tramontane.engine.batch import Batch

from .config import TimeMixConfig

SLOWEST = -math.exp(-0.5)
"""The logarithm of the smallest factor by which a state decays."""


def vector(size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(size), requires_grad=False)


class LowRank(nn.Module):
    """up(act(down(x))) with a small width between, (tokens, n_in) -> (tokens, n_out).

    Tensors: lora.0 (rank, n_in), lora.2 (n_out, rank) with a bias.
    """

    def __init__(
        self,
        n_in: int,
        rank: int,
        *,
        act: Callable[[Tensor], Tensor] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.act = act
        self.lora = nn.ModuleDict({"0": Linear(n_in, rank), "2": Linear(rank, n_in, bias=bias)})

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.lora["0"](x)
        return self.lora["2"](narrow if self.act is None else self.act(narrow))  # type: ignore[no-any-return]


class GroupNorm(nn.Module):
    """Layer norm of each head by itself, (tokens, heads, d) -> (tokens, heads * d), in float32.

    Tensors: weight and bias (heads * d).
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps, self.weight, self.bias = eps, vector(dim), vector(dim)

    def forward(self, x: Tensor) -> Tensor:
        normal = F.layer_norm(x, (x.shape[-1],), None, None, self.eps).flatten(-2)
        return normal * self.weight.float() + self.bias.float()


class TimeMix(nn.Module):
    """The generalized delta rule over mixtures of this token and the last, (tokens, hidden) ->
    (tokens, hidden).

    x_n = x + (last x - x) * mix of n; r, k, v = projections of x_r, x_k, x_v; a, g and decay of low
    rank. With κ = unit(k * k_k) for each head and k = k (1 + (a - 1) k_a):

    S = decay * S - (κ a) ⊗ (κᵀ S) + k ⊗ v; the result is o_proj(g (norm(Sᵀ r) + (r·(r_k k)) v)).

    v of all layers but the first is mixed with that of the first. Tensors: x_r, x_w, x_k, x_v, x_a,
    x_g, k_k, k_a, r_k (hidden); r_proj, k_proj, v_proj, o_proj (hidden, hidden); w_lora, a_lora,
    v_lora, g_lora; g_norm (hidden). States: last, recurrent.
    """

    def __init__(self, cfg: TimeMixConfig, index: int) -> None:
        super().__init__()
        hidden, size = cfg.hidden_size, cfg.head_dim
        self.d_head, self.heads = size, hidden // size
        self.shift = TokenShift(hidden, index, name="last")
        self.rule = GeneralizedDeltaRule(self.heads, size, size, index)
        self.x_r, self.x_w, self.x_k, self.x_v, self.x_a = (vector(hidden) for _ in range(5))
        self.k_k, self.k_a, self.r_k = (vector(hidden) for _ in range(3))
        self.r_proj, self.k_proj, self.v_proj, self.o_proj = (
            Linear(hidden, hidden) for _ in range(4)
        )
        self.w_lora = LowRank(hidden, cfg.decay_low_rank_dim, act=torch.tanh)
        self.a_lora = LowRank(hidden, cfg.a_low_rank_dim)
        self.v_lora = LowRank(hidden, cfg.v_low_rank_dim) if index else None
        self.g_lora = None
        if cfg.gate_low_rank_dim:
            self.x_g = vector(hidden)
            self.g_lora = LowRank(hidden, cfg.gate_low_rank_dim, act=torch.sigmoid, bias=False)
        self.g_norm = GroupNorm(hidden, cfg.group_norm_eps) if cfg.group_norm else None

    def forward(self, x: Tensor, batch: Batch, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """first: v of the first layer, None in it -> the result, and v of the first layer."""
        away = self.shift(x, batch) - x
        r, k = self.r_proj(x + away * self.x_r), self.k_proj(x + away * self.x_k)
        for_v = x + away * self.x_v
        v = self.v_proj(for_v)
        if first is None or self.v_lora is None:
            first = v
        else:
            v = v + (first - v) * torch.sigmoid(self.v_lora(for_v))
        decay = torch.exp(torch.sigmoid(self.w_lora(x + away * self.x_w).float()) * SLOWEST)
        a = torch.sigmoid(self.a_lora(x + away * self.x_a))
        kappa = self.by_head((k * self.k_k).float())
        kappa = kappa * torch.rsqrt((kappa * kappa).sum(-1, keepdim=True).clamp(min=1e-24))
        k = k + k * (a - 1) * self.k_a
        out = self.rule(
            self.by_head(r), self.by_head(k), self.by_head(v), self.by_head(decay), -kappa,
            kappa * self.by_head(a.float()), batch,
        )  # fmt: skip
        out = out.flatten(-2) if self.g_norm is None else self.g_norm(out)
        bonus = self.by_head((r * k * self.r_k).float()).sum(-1, keepdim=True)
        out = out + (self.by_head(v.float()) * bonus).flatten(-2)
        out = out.to(x.dtype)
        if self.g_lora is not None:
            out = out * self.g_lora(x + away * self.x_g)
        return self.o_proj(out), first

    def by_head(self, x: Tensor) -> Tensor:
        """(tokens, hidden) -> (tokens, heads, d_head)."""
        heads: Tensor = x.unflatten(-1, (self.heads, self.d_head))
        return heads

"""Gated DeltaNet (Yang et al. 2024): a mixer that keeps a matrix for each head, and no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear
from .norm import RMSNorm
from .recurrent import DeltaRule, ShortConv

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class DeltaNetSizes(Protocol):
    """The numbers of a configuration with Gated DeltaNet layers."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def rms_norm_eps(self) -> float: ...
    @property
    def linear_conv_kernel_dim(self) -> int: ...
    @property
    def linear_key_head_dim(self) -> int: ...
    @property
    def linear_value_head_dim(self) -> int: ...
    @property
    def linear_num_key_heads(self) -> int: ...
    @property
    def linear_num_value_heads(self) -> int: ...


class GatedDeltaNet(nn.Module):
    """The delta rule over q, k and v that a short convolution has mixed, times a gate, (tokens,
    hidden) -> (tokens, hidden).

    beta = sigmoid(in_proj_b x), decay = exp(-exp(A_log) softplus(in_proj_a x + dt_bias)); the
    result is out_proj(norm(S q) silu(in_proj_z x)).

    Tensors: in_proj_qkv (2 * key_heads * d_key + heads * d_value, hidden), q, k and v one below the
    other; in_proj_z (heads * d_value, hidden); in_proj_b and in_proj_a (heads, hidden); conv1d
    (channels of q, k and v, width); A_log and dt_bias (heads); norm (d_value); out_proj (hidden,
    heads * d_value). States: conv and recurrent. tiled: see `DeltaRule`.
    """

    def __init__(self, cfg: DeltaNetSizes, index: int, *, tiled: bool = False) -> None:
        super().__init__()
        heads, key_heads = cfg.linear_num_value_heads, cfg.linear_num_key_heads
        self.d_key, self.d_value = cfg.linear_key_head_dim, cfg.linear_value_head_dim
        keys, values = key_heads * self.d_key, heads * self.d_value
        self.widths = [keys, keys, values]
        self.heads, self.key_heads = heads, key_heads
        self.in_proj_qkv = Linear(cfg.hidden_size, sum(self.widths), split="column")
        self.in_proj_z = Linear(cfg.hidden_size, values, split="column")
        self.in_proj_b = Linear(cfg.hidden_size, heads, split="column")
        self.in_proj_a = Linear(cfg.hidden_size, heads, split="column")
        self.conv1d = ShortConv(sum(self.widths), cfg.linear_conv_kernel_dim, index)
        self.A_log = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.dt_bias = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.rule = DeltaRule(heads, self.d_key, self.d_value, index, tiled=tiled)
        self.norm = RMSNorm(self.d_value, cfg.rms_norm_eps)
        self.out_proj = Linear(values, cfg.hidden_size, split="row")

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed = F.silu(self.conv1d(self.in_proj_qkv(x), batch))
        q, k, v = mixed.split(self.widths, -1)
        q, k = q.unflatten(-1, (-1, self.d_key)), k.unflatten(-1, (-1, self.d_key))
        z = self.in_proj_z(x).unflatten(-1, (-1, self.d_value))
        beta = torch.sigmoid(self.in_proj_b(x).float())
        step = F.softplus(self.in_proj_a(x).float() + self.dt_bias.float())
        decay = torch.exp(step * -self.A_log.float().exp())
        q, k = unit(q.float()) * self.d_key**-0.5, unit(k.float())
        out = self.rule(q, k, v.unflatten(-1, (-1, self.d_value)), decay, beta, batch)
        gated = self.norm(out.to(x.dtype)) * F.silu(z.float()).to(x.dtype)
        return self.out_proj(gated.flatten(-2))  # type: ignore[no-any-return]


def unit(x: Tensor) -> Tensor:
    """x / sqrt(sum(x²) + 1e-6) over the last dimension."""
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6)

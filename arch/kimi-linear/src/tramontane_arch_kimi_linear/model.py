"""Kimi Linear (Kimi Team 2025): most layers are Kimi Delta Attention, which keeps a matrix for each
head, the others latent attention without any rotation; with experts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import (
    CausalLM,
    DeltaRule,
    GatedMLP,
    LatentAttention,
    Linear,
    PreNormLayer,
    RMSNorm,
    ShortConv,
    balanced_moe,
    latent_scale,
)
from tramontane.blocks.delta_net import unit
from tramontane.engine.batch import Batch

from .config import KimiLinearConfig


class DeltaAttention(nn.Module):
    """The delta rule with a decay for each row of the state, over q, k and v that convolutions have
    mixed, times a gate; (tokens, hidden) -> (tokens, hidden).

    beta = sigmoid(b_proj x), decay = exp(-exp(A_log) softplus(f_b_proj f_a_proj x + dt_bias)); the
    result is o_proj(o_norm(Sᵀ q) sigmoid(g_b_proj g_a_proj x)).

    Tensors: q_proj, k_proj, v_proj (heads * d, hidden); q_conv1d, k_conv1d, v_conv1d (heads * d,
    width); f_a_proj, g_a_proj (d, hidden); f_b_proj, g_b_proj (heads * d, d); dt_bias (heads * d);
    A_log (heads); b_proj (heads, hidden); o_norm (d); o_proj (hidden, heads * d). States: conv_q,
    conv_k, conv_v, recurrent.
    """

    def __init__(self, cfg: KimiLinearConfig, index: int) -> None:
        super().__init__()
        hidden, heads, size = cfg.hidden_size, cfg.linear_num_heads, cfg.linear_head_dim
        self.d_head, wide, width = size, heads * size, cfg.linear_conv_kernel_dim
        self.q_proj, self.k_proj, self.v_proj = (Linear(hidden, wide) for _ in range(3))
        self.q_conv1d, self.k_conv1d, self.v_conv1d = (
            ShortConv(wide, width, index, name=f"conv_{name}") for name in "qkv"
        )
        self.f_a_proj, self.f_b_proj = Linear(hidden, size), Linear(size, wide)
        self.g_a_proj, self.g_b_proj = Linear(hidden, size), Linear(size, wide)
        self.b_proj = Linear(hidden, heads)
        self.A_log = nn.Parameter(torch.empty(heads), requires_grad=False)
        self.dt_bias = nn.Parameter(torch.empty(wide), requires_grad=False)
        self.rule = DeltaRule(heads, size, size, index)
        self.o_norm = RMSNorm(size, cfg.rms_norm_eps)
        self.o_proj = Linear(wide, hidden)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q = self.by_head(F.silu(self.q_conv1d(self.q_proj(x), batch)))
        k = self.by_head(F.silu(self.k_conv1d(self.k_proj(x), batch)))
        v = self.by_head(F.silu(self.v_conv1d(self.v_proj(x), batch)))
        step = F.softplus(self.f_b_proj(self.f_a_proj(x)).float() + self.dt_bias.float())
        decay = torch.exp(self.by_head(step) * -self.A_log.float().exp()[:, None])
        beta = torch.sigmoid(self.b_proj(x).float())
        q, k = unit(q.float()) * self.d_head**-0.5, unit(k.float())
        out = self.o_norm(self.rule(q, k, v, decay, beta, batch))
        gate = torch.sigmoid(self.by_head(self.g_b_proj(self.g_a_proj(x))).float())
        return self.o_proj((out * gate).to(x.dtype).flatten(-2))  # type: ignore[no-any-return]

    def by_head(self, x: Tensor) -> Tensor:
        """(tokens, heads * d) -> (tokens, heads, d)."""
        heads: Tensor = x.unflatten(-1, (-1, self.d_head))
        return heads


def layer(cfg: KimiLinearConfig, index: int) -> PreNormLayer:
    if cfg.layer_types[index] == "linear_attention":
        mixer: nn.Module = DeltaAttention(cfg, index)
    else:
        scale, bias = latent_scale(cfg, cfg), cfg.attention_bias
        mixer = LatentAttention(cfg, cfg, index, rope=None, scale=scale, bias=bias)
    sparse = cfg.mlp_layer_types[index] == "sparse"
    return PreNormLayer(cfg, mixer, balanced_moe(cfg, cfg) if sparse else GatedMLP(cfg))


class KimiLinear(CausalLM):
    Layer = staticmethod(layer)

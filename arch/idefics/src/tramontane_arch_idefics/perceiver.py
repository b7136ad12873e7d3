"""Idefics2's way from an encoder's patches to a fixed number of rows: a gated half, then learned
rows that look at the patches and at each other (Jaegle et al. 2021, Perceiver)."""

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Linear, RMSNorm
from tramontane.config.decoder import ModelConfig


class PerceiverConfig(ModelConfig):
    """The fields of `perceiver_config`."""

    hidden_act: str = "silu"
    hidden_size: int = Field(default=4096, gt=0, le=2**20, strict=True)
    rms_norm_eps: float = Field(default=1e-6, gt=0, le=1, strict=True)
    resampler_n_latents: int = Field(default=64, gt=0, le=2**14, strict=True)
    resampler_depth: int = Field(default=3, gt=0, le=256, strict=True)
    resampler_n_heads: int = Field(default=16, gt=0, le=2**10, strict=True)
    resampler_head_dim: int = Field(default=96, gt=0, le=2**12, strict=True)
    num_key_value_heads: int = Field(default=4, gt=0, le=2**10, strict=True)

    @model_validator(mode="after")
    def _is_known(self) -> "PerceiverConfig":
        heads, shared = self.resampler_n_heads, self.num_key_value_heads
        if heads % shared:
            raise ValueError(
                f"resampler_n_heads {heads} is not a multiple of num_key_value_heads {shared}"
            )
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act {self.hidden_act!r} is not one of {list(ACTIVATIONS)}")
        return self


class GatedHalf(nn.Module):
    """down(act(gate(x)) * up(x)), (rows, size) -> (rows, out). Tensors: gate_proj, up_proj (wide,
    size), down_proj (out, wide)."""

    def __init__(self, size: int, wide: int, out: int, act: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[act]
        self.gate_proj = Linear(size, wide, bias=False)
        self.up_proj = Linear(size, wide, bias=False)
        self.down_proj = Linear(wide, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))
        return out


class LatentsLook(nn.Module):
    """Attention of latents to the patches and to themselves. Tensors: q_proj, k_proj, v_proj,
    o_proj."""

    def __init__(self, cfg: PerceiverConfig, hidden: int) -> None:
        super().__init__()
        self.dim = cfg.resampler_head_dim
        self.q_proj = Linear(hidden, cfg.resampler_n_heads * self.dim, bias=False)
        self.k_proj = Linear(hidden, cfg.num_key_value_heads * self.dim, bias=False)
        self.v_proj = Linear(hidden, cfg.num_key_value_heads * self.dim, bias=False)
        self.o_proj = Linear(cfg.resampler_n_heads * self.dim, hidden, bias=False)

    def forward(self, latents: Tensor, patches: Tensor) -> Tensor:
        both = torch.cat((patches, latents))
        q, k, v = (
            project(rows).unflatten(-1, (-1, self.dim)).transpose(0, 1)[None]
            for project, rows in (
                (self.q_proj, latents),
                (self.k_proj, both),
                (self.v_proj, both),
            )
        )
        mixed = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)[0]
        out: Tensor = self.o_proj(mixed.transpose(0, 1).flatten(1))
        return out


class PerceiverLayer(nn.Module):
    """Tensors: input_latents_norm, input_context_norm, self_attn, post_attention_layernorm, mlp."""

    def __init__(self, cfg: PerceiverConfig, hidden: int, eps: float) -> None:
        super().__init__()
        self.input_latents_norm = RMSNorm(hidden, eps)
        self.input_context_norm = RMSNorm(hidden, eps)
        self.self_attn = LatentsLook(cfg, hidden)
        self.post_attention_layernorm = RMSNorm(hidden, eps)
        self.mlp = GatedHalf(hidden, 4 * hidden, hidden, cfg.hidden_act)

    def forward(self, latents: Tensor, patches: Tensor) -> Tensor:
        seen = self.input_latents_norm(latents), self.input_context_norm(patches)
        latents = latents + self.self_attn(*seen)
        out: Tensor = latents + self.mlp(self.post_attention_layernorm(latents))
        return out


class Perceiver(nn.Module):
    """(patches, hidden) -> (latents, hidden). Tensors: latents (latents, hidden), layers.N, norm.
    eps: of the norms."""

    def __init__(self, cfg: PerceiverConfig, hidden: int, eps: float) -> None:
        super().__init__()
        self.latents = nn.Parameter(
            torch.empty(cfg.resampler_n_latents, hidden), requires_grad=False
        )
        self.layers = nn.ModuleList(
            PerceiverLayer(cfg, hidden, eps) for _ in range(cfg.resampler_depth)
        )
        self.norm = RMSNorm(hidden, eps)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.latents.to(patches.dtype)
        for layer in self.layers:
            x = layer(x, patches)
        out: Tensor = self.norm(x)
        return out

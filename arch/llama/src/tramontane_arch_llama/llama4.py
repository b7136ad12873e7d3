"""Llama 4, text: chunks in most layers, no rotation in the others, experts of weighed input.

Layers that rotate normalize q and k after it, and let a token see its own chunk alone. In the
others, which see everything, the query at position p is multiplied by 1 + attn_scale log(1 +
floor((p + 1) / floor_scale)).
"""

import torch
from torch import Tensor
from tramontane.blocks import (
    Attention,
    CausalLM,
    Experts,
    GatedMLP,
    HeadNorm,
    PreNormLayer,
    Rope,
    Router,
    WeighedInputMoE,
    rope_for,
)
from tramontane.checkpoint.rules import (
    EXPERTS,
    TEXT_PART,
    Deinterleave,
    Rename,
    Rule,
    Skip,
    Transpose,
)
from tramontane.engine.batch import Batch

from .llama4_config import Llama4Config


class Tempering(Rope):
    """A rotation by nothing, whose cosine is a factor that grows with the position."""

    def __init__(self, dim: int, scale: float, floor: int) -> None:
        super().__init__(dim, 1.0)
        self.scale, self.floor = scale, floor
        self.settings = (*self.settings, "tempering", scale, floor)

    def angles(self, positions: Tensor, extents: Tensor) -> tuple[Tensor, Tensor]:
        periods = torch.floor((positions.float() + 1) / self.floor)
        factor = (torch.log1p(periods) * self.scale + 1)[:, None, None]
        cos = factor.expand(-1, 1, self.dim // 2).contiguous()
        return cos, torch.zeros_like(cos)


class Llama4Attention(Attention):
    def __init__(self, cfg: Llama4Config, index: int) -> None:
        rope = rope_for(cfg) if cfg.rotates(index) else None
        bias = cfg.attention_bias
        super().__init__(cfg, index, rope=rope, bias=bias, out_bias=bias)
        self.chunk = cfg.chunk(index)
        self.qk_norm = self.tempering = None
        if rope is not None and cfg.use_qk_norm:
            self.qk_norm = HeadNorm(cfg.head_dim, cfg.rms_norm_eps, weighted=False)
        if rope is None and cfg.attn_temperature_tuning:
            self.tempering = Tempering(cfg.head_dim, cfg.attn_scale, cfg.floor_scale)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q, k, v = (each.unflatten(-1, (-1, self.d_head)) for each in self.project(x))
        if self.rope is not None:
            q, k = self.rope(q, batch), self.rope(k, batch)
        if self.qk_norm is not None:
            q, k = self.qk_norm(q), self.qk_norm(k)
        if self.tempering is not None:
            q = self.tempering(q, batch)
        batch.cache.layers[self.index].store(batch.slots, k, v)
        return self.mix(q, batch)


def layer(cfg: Llama4Config, index: int) -> PreNormLayer:
    attention = Llama4Attention(cfg, index)
    if not cfg.has_experts(index):
        return PreNormLayer(cfg, attention, GatedMLP(cfg, wide=cfg.intermediate_size_mlp))
    count = cfg.num_local_experts
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True)
    experts = Experts(cfg, count, cfg.intermediate_size)
    return PreNormLayer(cfg, attention, WeighedInputMoE(gate, experts, GatedMLP(cfg)))


class Llama4(CausalLM):
    Layer = staticmethod(layer)


PAIRS: list[Rule] = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
SHARED = Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*")
WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        *TEXT_PART,
        Skip("*.rotary_emb"),
        Rename("*.feed_forward.*", "*.mlp.*"),
        Rename("*.mlp.router", "*.mlp.gate"),
        SHARED,
        # (experts, columns, rows) by these names alone; what lies as usual has .weight behind
        Rename("*.experts.*_proj.weight", "*.experts.*_rows.weight"),
        Rename("*.experts.*_proj", "*.experts.*_columns.weight"),
        Transpose("*.experts.*_columns", per="count"),
        Rename("*.experts.*_columns", "*.experts.*_proj"),
        Rename("*.experts.*_rows", "*.experts.*_proj"),
        *EXPERTS,
        *PAIRS,
    ],
    "gguf": [SHARED, *PAIRS],
}

"""Gemma 4, text: most layers see a window; the others have larger heads, and may have keys that are
their values.

Values are normalized, scores not scaled. The last layers may share earlier layers' keys and values,
experts may stand beside the dense half, and each layer may add a vector of its own for every token.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from tramontane.blocks import (
    CausalLM,
    Embedding,
    Experts,
    GatedMLP,
    Linear,
    RMSNorm,
    Router,
    rms_norm,
)
from tramontane.engine.batch import Batch

from .gemma4_attention import attention, rotation
from .gemma4_config import Gemma4Config, LayeredConfig
from .model import TANH, softcapped


class NormedRouter(nn.Module):
    """Experts by softmax of a normalized vector, (tokens, hidden) -> weights and numbers."""

    def __init__(self, cfg: Gemma4Config, experts: int, k: int) -> None:
        super().__init__()
        self.norm, self.shrink = rms_norm(cfg), cfg.hidden_size**-0.5
        self.proj = Router(cfg.hidden_size, experts, k, normalize=True)
        self.proj.factors = nn.Parameter(torch.empty(experts), requires_grad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.proj(self.norm(x) * self.shrink)  # type: ignore[no-any-return]


class ExpertsToo(nn.Module):
    """Experts beside the dense half, with norms before and behind; (tokens, hidden) -> the same."""

    def __init__(self, cfg: Gemma4Config, experts: int, k: int, wide: int) -> None:
        super().__init__()
        self.pre_feedforward_layernorm_2 = rms_norm(cfg)
        self.router = NormedRouter(cfg, experts, k)
        self.experts = Experts(cfg, experts, wide, act=TANH)
        self.post_feedforward_layernorm_2 = rms_norm(cfg)
        self.post_feedforward_layernorm_1 = rms_norm(cfg)

    def forward(self, dense: Tensor, x: Tensor) -> Tensor:
        """dense: what the dense half makes of x, both (tokens, hidden) -> (tokens, hidden)."""
        normal = self.pre_feedforward_layernorm_2(x)
        sparse = self.post_feedforward_layernorm_2(self.experts(normal, *self.router(x)))
        out: Tensor = self.post_feedforward_layernorm_1(dense) + sparse
        return out


class TokenVectors(nn.Module):
    """Adds what a layer knows of each token by itself, (tokens, hidden) -> (tokens, hidden)."""

    def __init__(self, cfg: LayeredConfig) -> None:
        super().__init__()
        narrow, self.act = cfg.hidden_size_per_layer_input, TANH
        self.per_layer_input_gate = Linear(cfg.hidden_size, narrow)
        self.per_layer_projection = Linear(narrow, cfg.hidden_size)
        self.post_per_layer_input_norm = rms_norm(cfg)

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """own: (tokens, hidden_size_per_layer_input), the layer's vector of each token."""
        return x + self.told(x, own)

    def told(self, x: Tensor, own: Tensor) -> Tensor:
        """What is added to x."""
        gated = self.act(self.per_layer_input_gate(x)) * own
        out: Tensor = self.post_per_layer_input_norm(self.per_layer_projection(gated))
        return out


class Gemma4Layer(nn.Module):
    def __init__(self, cfg: Gemma4Config, index: int) -> None:
        super().__init__()
        doubled = 2 if cfg.use_double_wide_mlp and cfg.keeps(index) != index else 1
        self.input_layernorm = rms_norm(cfg)
        self.self_attn = attention(cfg, index, rotation(cfg, index))
        self.post_attention_layernorm = rms_norm(cfg)
        self.pre_feedforward_layernorm = rms_norm(cfg)
        self.mlp = GatedMLP(cfg, act=TANH, wide=cfg.intermediate_size * doubled)
        self.mixture = None
        if cfg.enable_moe_block:
            told = (cfg.num_experts, cfg.top_k_experts, cfg.moe_intermediate_size)
            self.mixture = ExpertsToo(cfg, *(number or 0 for number in told))
        self.post_feedforward_layernorm = rms_norm(cfg)
        self.by_token = TokenVectors(cfg) if cfg.hidden_size_per_layer_input else None
        self.layer_scalar = nn.Parameter(torch.empty(1), requires_grad=False)

    def forward(self, x: Tensor, batch: Batch, own: Tensor | None) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), batch))
        out = self.mlp(self.pre_feedforward_layernorm(x))
        if self.mixture is not None:
            out = self.mixture(out, x)
        x = x + self.post_feedforward_layernorm(out)
        if self.by_token is not None:
            x = self.by_token(x, own)
        return x * self.layer_scalar


class Gemma4(CausalLM):
    Layer = Gemma4Layer

    def __init__(self, cfg: LayeredConfig) -> None:
        super().__init__(cfg)
        self.narrow = cfg.hidden_size_per_layer_input
        if self.narrow:
            wide, model = cfg.num_hidden_layers * self.narrow, self.model
            model.embed_tokens_per_layer = Embedding(
                cfg.vocab_size_per_layer_input, wide, others=True
            )
            model.per_layer_model_projection = Linear(cfg.hidden_size, wide)
            model.per_layer_projection_norm = RMSNorm(self.narrow, cfg.rms_norm_eps)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x = self.embed(tokens, batch)
        owns = self.own_vectors(tokens, x) if self.narrow else [None] * len(self.model.layers)
        for layer, own in zip(self.model.layers, owns, strict=True):
            x = layer(x, batch, own)
        return self.logits(self.model.norm(x[batch.wanted]))

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        return super().embed(tokens, batch) * math.sqrt(self.cfg.hidden_size)

    def own_vectors(self, tokens: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Each layer's vectors of the tokens, from a table and from x (tokens, hidden)."""
        model: Any = self.model
        narrow = self.narrow
        known: Tensor = model.embed_tokens_per_layer(tokens) * math.sqrt(narrow)
        made = model.per_layer_model_projection(x) * self.cfg.hidden_size**-0.5
        made = model.per_layer_projection_norm(made.unflatten(-1, (-1, narrow))).flatten(-2)
        both: Tensor = (made + known) * 2**-0.5
        owns: tuple[Tensor, ...] = both.split(narrow, -1)
        return owns

    def logits(self, x: Tensor) -> Tensor:
        return softcapped(super().logits(x), self.cfg.final_logit_softcapping)  # type: ignore[attr-defined]

"""RWKV-7 "Goose", and ARWKV, a Qwen 2.5 with its time mix: no layer has attention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import CausalLM, GatedMLP, LayerNorm, Linear, TokenShift, rms_norm
from tramontane.engine.batch import Batch

from .config import ArwkvConfig, RwkvConfig
from .time_mix import TimeMix, vector


def norm(cfg: RwkvConfig) -> LayerNorm:
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=cfg.norm_bias)


class ChannelMix(nn.Module):
    """value(relu(key(x + (last x - x) x_k))²), (tokens, hidden) -> (tokens, hidden).

    Tensors: x_k (hidden), key (wide, hidden), value (hidden, wide). State: last_channels.
    """

    def __init__(self, cfg: RwkvConfig, index: int) -> None:
        super().__init__()
        self.shift = TokenShift(cfg.hidden_size, index, name="last_channels")
        self.x_k = vector(cfg.hidden_size)
        self.key = Linear(cfg.hidden_size, cfg.intermediate_size)
        self.value = Linear(cfg.intermediate_size, cfg.hidden_size)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed = x + (self.shift(x, batch) - x) * self.x_k
        return self.value(F.relu(self.key(mixed)).square())  # type: ignore[no-any-return]


class RwkvLayer(nn.Module):
    """x + time mix(norm(x)), then x + channel mix(norm(x)); the first layer norms its x before."""

    def __init__(self, cfg: RwkvConfig, index: int) -> None:
        super().__init__()
        self.pre_norm = norm(cfg) if cfg.norm_first and index == 0 else None
        self.attn_norm = norm(cfg)
        self.attn = TimeMix(cfg, index)
        self.ffn_norm = norm(cfg)
        self.ffn = ChannelMix(cfg, index)

    def forward(self, x: Tensor, batch: Batch, first: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.pre_norm is not None:
            x = self.pre_norm(x)
        mixed, first = self.attn(self.attn_norm(x), batch, first)
        x = x + mixed
        return x + self.ffn(self.ffn_norm(x), batch), first


class ArwkvLayer(nn.Module):
    """x + time mix(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, cfg: ArwkvConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = rms_norm(cfg)
        self.attn = TimeMix(cfg, index)
        self.post_attention_layernorm = rms_norm(cfg)
        self.mlp = GatedMLP(cfg)

    def forward(self, x: Tensor, batch: Batch, first: Tensor | None) -> tuple[Tensor, Tensor]:
        mixed, first = self.attn(self.input_layernorm(x), batch, first)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), first


class TimeMixLM(CausalLM):
    """Hands the first layer's values on to all others."""

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x, first = self.embed(tokens, batch), None
        for layer in self.model.layers:
            x, first = layer(x, batch, first)
        return self.logits(self.model.norm(x[batch.wanted]))


class Rwkv(TimeMixLM):
    Layer = RwkvLayer
    Norm = staticmethod(norm)


class Arwkv(TimeMixLM):
    Layer = ArwkvLayer

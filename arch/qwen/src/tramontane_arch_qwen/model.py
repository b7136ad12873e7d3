"""Qwen2, Qwen2.5 and Qwen3, dense.

Qwen2 is Llama with biases on q, k and v; Qwen3 drops them and normalizes q and k per head. In
both, layers from `max_window_layers` on see a sliding window when `use_sliding_window` is set.
"""

from types import MappingProxyType
from typing import Literal

from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, RMSNorm, rope_for
from tramontane.config import DecoderConfig


class QwenConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    use_sliding_window: bool = False
    sliding_window: int | None = 4096
    max_window_layers: int = 28
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    absent = MappingProxyType({"max_position_embeddings": 32_768})

    def window(self, index: int) -> int | None:
        """How many tokens back the layer sees; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[index] == "sliding_attention"
        else:
            slides = self.slides(index)
        return self.sliding_window if self.use_sliding_window and slides else None

    def slides(self, index: int) -> bool:
        """Whether the layer has a window where any has, and no list says which."""
        return index >= self.max_window_layers


class Qwen2Config(QwenConfig):
    pass


class Qwen3Config(QwenConfig):
    attention_bias: bool = False


def qwen2_attention(cfg: Qwen2Config, index: int, *, bias: bool = True) -> Attention:
    return Attention(cfg, index, rope=rope_for(cfg), window=cfg.window(index), bias=bias)


def qwen3_attention(cfg: Qwen3Config, index: int) -> Attention:
    return Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        k_norm=RMSNorm(cfg.head_dim, cfg.rms_norm_eps),
        window=cfg.window(index),
        bias=cfg.attention_bias,
        out_bias=cfg.attention_bias,
    )


def qwen2_layer(cfg: Qwen2Config, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, qwen2_attention(cfg, index), GatedMLP(cfg))


def qwen3_layer(cfg: Qwen3Config, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, qwen3_attention(cfg, index), GatedMLP(cfg))


class Qwen2(CausalLM):
    Layer = staticmethod(qwen2_layer)


class Qwen3(CausalLM):
    Layer = staticmethod(qwen3_layer)

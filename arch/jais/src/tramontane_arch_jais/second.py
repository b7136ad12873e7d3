"""Jais 2: layer norms and biases everywhere, squared ReLU without a gate, rotated halves."""

from types import MappingProxyType
from typing import Literal

from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.config import LayerNormConfig


class Jais2Config(LayerNormConfig):
    hidden_act: Literal["relu2"] = "relu2"
    attention_bias: bool = True
    mlp_bias: bool = True
    absent = MappingProxyType({"max_position_embeddings": 8192})


def layer(cfg: Jais2Config, index: int) -> PreNormLayer:
    bias = cfg.attention_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
    mlp = MLP(cfg, act=ACTIVATIONS[cfg.hidden_act], bias=cfg.mlp_bias)
    return PreNormLayer(cfg, attention, mlp, norm=layer_norm)


class Jais2(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)

"""Nemotron: norms that multiply by 1 + weight, squared ReLU without a gate, half-rotated heads."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rule, Shift
from tramontane.config import LayerNormConfig


class NemotronConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {"norm_eps": "layer_norm_eps"}
    hidden_act: Literal["relu2"] = "relu2"
    attention_bias: bool = False
    mlp_bias: bool = False
    partial_rotary_factor: float = Field(default=0.5, gt=0, le=1)
    absent = MappingProxyType({"max_position_embeddings": 4096})


def layer(cfg: NemotronConfig, index: int) -> PreNormLayer:
    bias = cfg.attention_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
    mlp = MLP(cfg, act=ACTIVATIONS["relu2"], bias=cfg.mlp_bias)
    return PreNormLayer(cfg, attention, mlp, norm=layer_norm)


class Nemotron(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


WEIGHTS: dict[str, list[Rule]] = {
    # the weight alone: biases are as they are; GGUF files have the sum
    "hf": [Shift("*norm.weight", by=1.0)],
    "gguf": [],
}

"""Orion: Llama with layer norms, which its configuration calls otherwise."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rule, Skip
from tramontane.config import LayerNormConfig


class OrionConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {"rms_norm_eps": "layer_norm_eps"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: Literal[False] = False
    absent = MappingProxyType({"max_position_embeddings": 4096})


def layer(cfg: OrionConfig, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg))
    return PreNormLayer(cfg, attention, GatedMLP(cfg), norm=layer_norm)


class Orion(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


WEIGHTS: dict[str, list[Rule]] = {"hf": [Skip("*.rotary_emb")]}

"""Seed-OSS: Llama with biases of queries, keys and values, and heads of a size of their own."""

from types import MappingProxyType
from typing import Literal

from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.config import DecoderConfig


class SeedConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = True
    attention_out_bias: bool = False
    mlp_bias: bool = False
    absent = MappingProxyType(
        {"head_dim": 128, "num_key_value_heads": 8, "max_position_embeddings": 524_288}
    )


def layer(cfg: SeedConfig, index: int) -> PreNormLayer:
    bias, out_bias = cfg.attention_bias, cfg.attention_out_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=out_bias)
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias))


class Seed(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [],
    "gguf": [Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm")],
}

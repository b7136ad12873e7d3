"""Arcee's AFM: Llama with squared ReLU, and no gate, in its feed-forward half."""

from types import MappingProxyType
from typing import Literal

from tramontane.blocks import ACTIVATIONS, MLP, Attention, CausalLM, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Rule
from tramontane.config import DecoderConfig


class ArceeConfig(DecoderConfig):
    hidden_act: Literal["relu2"] = "relu2"
    attention_bias: bool = False
    mlp_bias: bool = False
    absent = MappingProxyType({"max_position_embeddings": 4096, "rms_norm_eps": 1e-5})


def layer(cfg: ArceeConfig, index: int) -> PreNormLayer:
    bias = cfg.attention_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
    return PreNormLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS["relu2"], bias=cfg.mlp_bias))


class Arcee(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}

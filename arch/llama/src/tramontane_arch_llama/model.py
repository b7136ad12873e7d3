"""Llama 1 to 3, Mistral, and every checkpoint that is Llama under another name.

Mistral differs by its sliding window; GGUF files store the rows of q and k in another order.
"""

from typing import Literal

from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Skip
from tramontane.config import DecoderConfig


class LlamaConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False


class MistralConfig(LlamaConfig):
    sliding_window: int | None = None


class LlamaLayer(PreNormLayer):
    def __init__(self, cfg: LlamaConfig, index: int) -> None:
        bias = cfg.attention_bias
        attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
        super().__init__(cfg, attention, GatedMLP(cfg, bias=cfg.mlp_bias))


class MistralLayer(PreNormLayer):
    def __init__(self, cfg: MistralConfig, index: int) -> None:
        attention = Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)
        super().__init__(cfg, attention, GatedMLP(cfg))


class Llama(CausalLM):
    Layer = LlamaLayer


class Mistral(CausalLM):
    Layer = MistralLayer


WEIGHTS = {
    "hf": [Skip("*.rotary_emb")],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}

"""XVERSE: Llama under another name."""

from typing import Literal

from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Rule, Skip
from tramontane.config import DecoderConfig


class XverseConfig(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"


def layer(cfg: XverseConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, Attention(cfg, index, rope=rope_for(cfg)), GatedMLP(cfg))


class Xverse(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [Skip("*.rotary_emb")],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}

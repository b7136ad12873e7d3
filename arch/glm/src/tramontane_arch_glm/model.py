"""GLM-4: norms before and behind each half; half of each head is rotated, by adjacent pairs."""

from types import MappingProxyType
from typing import Literal

from pydantic import Field
from tramontane.blocks import Attention, CausalLM, GatedMLP, SandwichNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Rename, Skip, Split
from tramontane.config import DecoderConfig


class Glm4Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = True
    partial_rotary_factor: float = Field(default=0.5, gt=0, le=1)
    absent = MappingProxyType({"max_position_embeddings": 131_072, "rms_norm_eps": 1.5625e-07})


def layer(cfg: Glm4Config, index: int) -> SandwichNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=cfg.attention_bias)
    return SandwichNormLayer(cfg, attention, GatedMLP(cfg))


class Glm4(CausalLM):
    Layer = staticmethod(layer)


PAIRS = [
    Split("*.gate_up_proj", ("gate_proj", "up_proj")),
    Deinterleave("*.q_proj"),
    Deinterleave("*.k_proj"),
]
BEHIND = Rename("*.post_attention_layernorm", "*.pre_feedforward_layernorm")
WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        BEHIND,
        Rename("*.post_self_attn_layernorm", "*.post_attention_layernorm"),
        Rename("*.post_mlp_layernorm", "*.post_feedforward_layernorm"),
        *PAIRS,
    ],
    "gguf": [
        BEHIND,
        Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
        Rename("blk.*.post_ffw_norm", "model.layers.*.post_feedforward_layernorm"),
        # llama.cpp keeps both under the name of one
        Rename("*.mlp.up_proj", "*.mlp.gate_up_proj"),
        *PAIRS,
    ],
}

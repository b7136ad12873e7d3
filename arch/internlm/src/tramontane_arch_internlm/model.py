"""InternLM 1 to 3: Llama with biases; 2 has q, k and v in one matrix, by groups of heads."""

from collections.abc import Mapping
from typing import Any, Literal

from tramontane.blocks import Attention, CausalLM, GatedMLP, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip, Split
from tramontane.config import DecoderConfig


class InternLmConfig(DecoderConfig):
    """bias: of q, k, v and the output of attention."""

    hidden_act: Literal["silu"] = "silu"
    bias: bool = True

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        rotary = values.get("rotary")  # the first models' word for settings of the rotation
        if not isinstance(rotary, Mapping):
            return
        values.setdefault("rope_theta", float(rotary.get("base", 10_000)))
        if (kind := rotary.get("type", "origin")) != "origin":
            factor = float(rotary.get("scaling_factor", 1.0))
            values.setdefault("rope_scaling", {"rope_type": kind, "factor": factor})


class InternLm3Config(DecoderConfig):
    """qkv_bias: of q, k and v; bias: of all other matrices."""

    hidden_act: Literal["silu"] = "silu"
    qkv_bias: bool = False
    bias: bool = False


def layer(cfg: InternLmConfig, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=cfg.bias, out_bias=cfg.bias)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


def layer_3(cfg: InternLm3Config, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=cfg.qkv_bias, out_bias=cfg.bias)
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=cfg.bias))


class InternLm(CausalLM):
    Layer = staticmethod(layer)


class InternLm3(CausalLM):
    Layer = staticmethod(layer_3)


WEIGHTS: dict[str, list[Rule]] = {"hf": [Skip("*.rotary_emb")]}
WEIGHTS_2: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rope"),
        Skip("*.rotary_emb"),
        Rename("model.tok_embeddings", "model.embed_tokens"),
        Rename("output", "lm_head"),
        Rename("*.attention_norm", "*.input_layernorm"),
        Rename("*.ffn_norm", "*.post_attention_layernorm"),
        Rename("*.attention.wqkv", "*.self_attn.qkv_proj"),
        Rename("*.attention.wo", "*.self_attn.o_proj"),
        Rename("*.feed_forward.w1", "*.mlp.gate_proj"),
        Rename("*.feed_forward.w2", "*.mlp.down_proj"),
        Rename("*.feed_forward.w3", "*.mlp.up_proj"),
        Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"), per="kv_heads"),
    ],
    "gguf": [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")],
}

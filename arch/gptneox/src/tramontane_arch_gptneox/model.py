"""GPT-NeoX and Pythia: both halves of a layer read the same vector, each by a norm of its own."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    Gelu,
    ParallelNormsLayer,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Skip, Split
from tramontane.config import LayerNormConfig


class GPTNeoXConfig(LayerNormConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "rotary_emb_base": "rope_theta",
        "rotary_pct": "partial_rotary_factor",
    }
    hidden_act: Gelu | Literal["relu"] = "gelu"
    attention_bias: bool = True
    use_parallel_residual: bool = True
    partial_rotary_factor: float = Field(default=0.25, gt=0, le=1)


def layer(cfg: GPTNeoXConfig, index: int) -> PreNormLayer:
    bias = cfg.attention_bias
    attention = Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)
    wiring = ParallelNormsLayer if cfg.use_parallel_residual else PreNormLayer
    return wiring(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


class GPTNeoX(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


WEIGHTS = {
    "hf": [
        Skip("*.attention.bias"),  # masks, not weights
        Skip("*.attention.masked_bias"),
        Skip("*.rotary_emb"),
        Rename("gpt_neox.embed_in", "model.embed_tokens"),
        Rename("gpt_neox.final_layer_norm", "model.norm"),
        Rename("embed_out", "lm_head"),
        Rename("gpt_neox.layers.*", "model.layers.*"),
        Rename("*.attention.query_key_value", "*.self_attn.qkv_proj"),
        Rename("*.attention.dense", "*.self_attn.o_proj"),
        Rename("*.mlp.dense_h_to_4h", "*.mlp.up_proj"),
        Rename("*.mlp.dense_4h_to_h", "*.mlp.down_proj"),
        Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"), per="kv_heads"),
    ],
    "gguf": [Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))],
}

"""Persimmon: biases everywhere, norms of each head of q and k, squared ReLU without a gate."""

from types import MappingProxyType
from typing import Literal

from pydantic import Field
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    HeadNorm,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config import LayerNormConfig


class PersimmonConfig(LayerNormConfig):
    hidden_act: Literal["relu2"] = "relu2"
    qk_layernorm: bool = True
    partial_rotary_factor: float = Field(default=0.5, gt=0, le=1)
    absent = MappingProxyType({"max_position_embeddings": 16_384})


def head_norm(cfg: PersimmonConfig) -> HeadNorm | None:
    if not cfg.qk_layernorm:
        return None
    return HeadNorm(cfg.head_dim, cfg.layer_norm_eps, center=True, bias=True)


def layer(cfg: PersimmonConfig, index: int) -> PreNormLayer:
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=head_norm(cfg),
        k_norm=head_norm(cfg),
        bias=True,
        out_bias=True,
    )
    return PreNormLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS["relu2"]), norm=layer_norm)


class Persimmon(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(layer_norm)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.final_layernorm", "model.norm"),
        Rename("*.self_attn.query_key_value", "*.self_attn.qkv_proj"),
        Rename("*.self_attn.dense", "*.self_attn.o_proj"),
        Rename("*.self_attn.*_layernorm", "*.self_attn.*_norm"),
        Rename("*.mlp.dense_h_to_4h", "*.mlp.up_proj"),
        Rename("*.mlp.dense_4h_to_h", "*.mlp.down_proj"),
        # q, k and v of one head, then those of the next
        Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"), per="kv_heads"),
    ],
}

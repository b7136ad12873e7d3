"""Phi-2 and Phi-3, with Phi-3.5 and Phi-4-mini.

Phi-2 rotates a part of each head and lets both halves of a layer read one norm. Phi-3 is Llama with
fused matrices, which are taken apart as they are read, and rotary factors for long contexts.
"""

from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.blocks import (
    ACTIVATIONS,
    MLP,
    Attention,
    CausalLM,
    GatedMLP,
    Gelu,
    LayerNorm,
    ParallelLayer,
    PreNormLayer,
    layer_norm,
    rope_for,
)
from tramontane.checkpoint.rules import Rename, Rule, Skip, Split
from tramontane.config import DecoderConfig, LayerNormConfig


class Phi2Config(LayerNormConfig):
    hidden_act: Gelu = "gelu_new"
    qk_layernorm: bool = False
    partial_rotary_factor: float = Field(default=0.5, gt=0, le=1)


class Phi3Config(DecoderConfig):
    hidden_act: Literal["silu"] = "silu"
    sliding_window: int | None = None
    absent = MappingProxyType({"max_position_embeddings": 4096, "rms_norm_eps": 1e-5})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        scaling = values.get("rope_scaling")
        if isinstance(scaling, dict) and scaling.get("type") == "yarn" and "long_factor" in scaling:
            values["rope_scaling"] = {**scaling, "type": "longrope"}  # what it was first called


def phi2_layer(cfg: Phi2Config, index: int) -> ParallelLayer:
    norms = [
        LayerNorm(cfg.head_dim, cfg.layer_norm_eps) if cfg.qk_layernorm else None for _ in "qk"
    ]
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=norms[0],
        k_norm=norms[1],
        bias=True,
        out_bias=True,
    )
    return ParallelLayer(cfg, attention, MLP(cfg, act=ACTIVATIONS[cfg.hidden_act]), norm=layer_norm)


def phi3_layer(cfg: Phi3Config, index: int) -> PreNormLayer:
    attention = Attention(cfg, index, rope=rope_for(cfg), window=cfg.sliding_window)
    return PreNormLayer(cfg, attention, GatedMLP(cfg))


class Phi2(CausalLM):
    Layer = staticmethod(phi2_layer)
    Norm = staticmethod(layer_norm)
    head_bias = True


class Phi3(CausalLM):
    Layer = staticmethod(phi3_layer)


QKV = Split("*.qkv_proj", ("q_proj", "k_proj", "v_proj"))
PHI2_WEIGHTS = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.final_layernorm", "model.norm"),
        Rename("*.self_attn.dense", "*.self_attn.o_proj"),
        Rename("*.self_attn.q_layernorm", "*.self_attn.q_norm"),
        Rename("*.self_attn.k_layernorm", "*.self_attn.k_norm"),
        Rename("*.mlp.fc1", "*.mlp.up_proj"),
        Rename("*.mlp.fc2", "*.mlp.down_proj"),
    ],
    "gguf": [QKV],
}
PHI3_WEIGHTS: dict[str, list[Rule]] = {
    "hf": [QKV, Split("*.gate_up_proj", ("gate_proj", "up_proj"))],
    "gguf": [
        QKV,
        # llama.cpp keeps both under the name of one
        Rename("*.mlp.up_proj", "*.mlp.gate_up_proj"),
        Split("*.gate_up_proj", ("gate_proj", "up_proj")),
    ],
}

"""GLM-4.7-Flash: DeepSeek-V3's latent attention in GLM-4's layers with experts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    CausalLM,
    GatedMLP,
    LatentAttention,
    NextToken,
    PreNormLayer,
    balanced_moe,
    latent_scale,
    next_layer,
    rope_for,
)
from tramontane.checkpoint.latent_rules import KeysAndValues, TurnedRows
from tramontane.checkpoint.rules import Rule
from tramontane.config import DecoderConfig

from .experts import weights as weights_of_experts


class Glm4MoeLiteConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "n_routed_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    q_lora_rank: int | None = Field(default=768, gt=0)
    kv_lora_rank: int = Field(default=512, gt=0)
    qk_nope_head_dim: int = Field(default=192, gt=0)
    qk_rope_head_dim: int = Field(default=64, gt=0)
    v_head_dim: int = Field(default=256, gt=0)
    rope_interleave: bool = True
    moe_intermediate_size: int = Field(default=1536, gt=0)
    n_routed_experts: int = Field(default=64, gt=0)
    num_experts_per_tok: int = Field(default=4, gt=0)
    n_shared_experts: int = Field(default=1, gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    routed_scaling_factor: float = 1.8
    norm_topk_prob: bool = True
    topk_method: Literal["noaux_tc"] = "noaux_tc"
    mlp_layer_types: tuple[Literal["dense", "sparse"], ...]
    absent = MappingProxyType({"max_position_embeddings": 202_752, "rms_norm_eps": 1e-5})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        layers = values.get("num_hidden_layers")
        if isinstance(layers, int):
            kinds = ["dense"] + ["sparse"] * (min(layers, 4096) - 1)
            kinds = values.setdefault("mlp_layer_types", kinds)
            if isinstance(kinds, (list, tuple)) and len(kinds) != layers:
                raise ValueError(f"mlp_layer_types has {len(kinds)} entries for {layers} layers")
        values["head_dim"] = values.get("qk_rope_head_dim", 64)  # only this part is rotated
        values["num_key_value_heads"] = values.get("num_attention_heads")
        values.pop("partial_rotary_factor", None)


def layer(cfg: Glm4MoeLiteConfig, index: int) -> PreNormLayer:
    scale, bias = latent_scale(cfg, cfg), cfg.attention_bias
    attention = LatentAttention(cfg, cfg, index, rope=rope_for(cfg), scale=scale, bias=bias)
    if cfg.mlp_layer_types[index] == "dense":
        return PreNormLayer(cfg, attention, GatedMLP(cfg))
    return PreNormLayer(cfg, attention, balanced_moe(cfg, cfg))


class Glm4MoeLite(CausalLM):
    Layer = staticmethod(layer)


def weights(cfg: Glm4MoeLiteConfig) -> dict[str, list[Rule]]:
    latent: list[Rule] = [KeysAndValues()]
    if cfg.rope_interleave:
        parts = ("q_proj", "q_b_proj", "kv_a_proj_with_mqa")
        latent += [TurnedRows(f"*.self_attn.{part}") for part in parts]
    return {"hf": [*weights_of_experts(cfg)["hf"], *latent]}


def next_token(cfg: Glm4MoeLiteConfig) -> NextToken:
    return next_layer(cfg, lambda: layer(cfg, cfg.num_hidden_layers - 1), weights(cfg))

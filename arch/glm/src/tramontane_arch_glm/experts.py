"""GLM-4 with experts (4.5, 4.6): Llama's wiring, norms of q and k, experts chosen by sigmoid."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    NextToken,
    PreNormLayer,
    RMSNorm,
    balanced_moe,
    next_layer,
    rope_for,
)
from tramontane.checkpoint.rules import EXPERTS, Rename, Rule, Skip
from tramontane.config import DecoderConfig


class Glm4MoeConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "n_routed_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    use_qk_norm: bool = False
    partial_rotary_factor: float = Field(default=0.5, gt=0, le=1)
    moe_intermediate_size: int = Field(default=1408, gt=0)
    n_routed_experts: int = Field(default=128, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    n_shared_experts: int = Field(default=1, gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    routed_scaling_factor: float = 1.0
    norm_topk_prob: bool = True
    first_k_dense_replace: int = Field(default=1, ge=0)
    absent = MappingProxyType({"max_position_embeddings": 131_072, "rms_norm_eps": 1e-5})


def layer(cfg: Glm4MoeConfig, index: int) -> PreNormLayer:
    norms = [RMSNorm(cfg.head_dim, cfg.rms_norm_eps) if cfg.use_qk_norm else None for _ in "qk"]
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=norms[0],
        k_norm=norms[1],
        bias=cfg.attention_bias,
    )
    if index < cfg.first_k_dense_replace:
        return PreNormLayer(cfg, attention, GatedMLP(cfg))
    return PreNormLayer(cfg, attention, balanced_moe(cfg, cfg))


class Glm4Moe(CausalLM):
    Layer = staticmethod(layer)


def weights(cfg: DecoderConfig) -> dict[str, list[Rule]]:
    depth = cfg.num_hidden_layers
    return {
        "hf": [
            Skip("*.rotary_emb"),
            # layers that guess further tokens
            *(Skip(f"model.layers.{depth + ahead}.*") for ahead in range(4)),
            Rename("*.mlp.gate.e_score_correction_bias", "*.mlp.gate.balance"),
            *EXPERTS,
        ],
        "gguf": [
            *(Skip(f"*.{depth + ahead}.*") for ahead in range(4)),
            Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
            Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
            Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
        ],
    }


def next_token(cfg: Glm4MoeConfig) -> NextToken:
    return next_layer(cfg, lambda: layer(cfg, cfg.num_hidden_layers), weights(cfg))

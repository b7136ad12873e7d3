"""DeepSeek V2, V3 and R1: latent attention, and experts in groups, some of them for every token.

V2 chooses experts by softmax; V3 by sigmoid, with a bias that balances the load.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.blocks import (
    BiasedRouter,
    CausalLM,
    Experts,
    GatedMLP,
    GroupedRouter,
    LatentAttention,
    PreNormLayer,
    Router,
    SparseMoE,
    latent_scale,
    rope_for,
)
from tramontane.config import DecoderConfig


class DeepseekV2Config(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "n_routed_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: Literal[False] = False
    q_lora_rank: int | None = Field(default=1536, gt=0)
    kv_lora_rank: int = Field(gt=0)
    qk_nope_head_dim: int = Field(gt=0)
    qk_rope_head_dim: int = Field(gt=0)
    v_head_dim: int = Field(gt=0)
    rope_interleave: bool = True
    moe_intermediate_size: int = Field(gt=0)
    moe_layer_freq: Literal[1] = 1
    n_routed_experts: int = Field(gt=0)
    n_shared_experts: int = Field(default=2, gt=0)
    num_experts_per_tok: int = Field(gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    topk_method: Literal["greedy", "group_limited_greedy", "noaux_tc"] = "greedy"
    scoring_func: Literal["softmax", "sigmoid"] = "softmax"
    routed_scaling_factor: float = 1.0
    norm_topk_prob: bool = False
    first_k_dense_replace: int = Field(default=0, ge=0)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        turned, whole = values.get("qk_rope_head_dim"), values.get("head_dim")
        whole = values.get("key_length_mla", whole)  # what GGUF files say, newer and older ones
        if isinstance(turned, int) and isinstance(whole, int):
            values.setdefault("qk_nope_head_dim", whole - turned)
        values["head_dim"] = turned or 2  # of a head, only this part is rotated
        values["num_key_value_heads"] = values.get("num_attention_heads")
        values.pop("partial_rotary_factor", None)
        if "expert_gating_func" in values:
            values["scoring_func"] = {0: "softmax", 1: "softmax", 2: "sigmoid"}.get(
                values["expert_gating_func"], values["expert_gating_func"]
            )

    def is_dense(self, index: int) -> bool:
        """Whether the layer has no experts."""
        return index < self.first_k_dense_replace

    @model_validator(mode="after")
    def _scores_by_softmax(self) -> Self:
        if self.scoring_func == "softmax" and self.topk_method == "noaux_tc":
            raise ValueError("topk_method='noaux_tc' is for experts that are chosen by sigmoid")
        if self.scoring_func == "softmax" and self.norm_topk_prob:
            raise ValueError(
                "norm_topk_prob=True with experts that are chosen by softmax is not supported: "
                "implementations differ in whether routed_scaling_factor counts then"
            )
        return self


class DeepseekV3Config(DeepseekV2Config):
    scoring_func: Literal["sigmoid"] = "sigmoid"
    n_shared_experts: int = Field(default=1, gt=0)
    first_k_dense_replace: int = Field(default=3, ge=0)
    absent = MappingProxyType({"max_position_embeddings": 4096})
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 2.5
    n_group: int = Field(default=8, gt=0)
    topk_group: int = Field(default=4, gt=0)


def router(cfg: DeepseekV2Config) -> Router:
    sizes = (cfg.hidden_size, cfg.n_routed_experts, cfg.num_experts_per_tok)
    normalize, scale = cfg.norm_topk_prob, cfg.routed_scaling_factor
    groups = (cfg.n_group, cfg.topk_group)
    if cfg.scoring_func == "sigmoid":
        return BiasedRouter(*sizes, groups=groups, normalize=normalize, scale=scale)
    if cfg.topk_method == "greedy" or cfg.n_group == 1:
        return Router(*sizes, normalize=normalize, scale=scale)
    return GroupedRouter(*sizes, groups=groups, normalize=normalize, scale=scale)


def layer(cfg: DeepseekV2Config, index: int) -> PreNormLayer:
    scale, bias = latent_scale(cfg, cfg), cfg.attention_bias
    attention = LatentAttention(cfg, cfg, index, rope=rope_for(cfg), scale=scale, bias=bias)
    if cfg.is_dense(index):
        return PreNormLayer(cfg, attention, GatedMLP(cfg))
    experts = Experts(cfg, cfg.n_routed_experts, cfg.moe_intermediate_size)
    shared = GatedMLP(cfg, wide=cfg.moe_intermediate_size * cfg.n_shared_experts)
    return PreNormLayer(cfg, attention, SparseMoE(router(cfg), experts, shared))


class Deepseek(CausalLM):
    Layer = staticmethod(layer)

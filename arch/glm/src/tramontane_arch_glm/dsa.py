"""GLM-5: GLM-4.7-Flash's wiring with an indexer, which chooses the tokens that a token attends to.

A token that sees no more than index_topk tokens attends to all of them, whatever the indexer says.
So contexts up to that length need no indexer; longer ones are refused.
"""

from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field
from tramontane.checkpoint.latent_rules import KeysAndValues, TurnedRows
from tramontane.checkpoint.rules import Rule, Skip, Split
from tramontane.config import ContextLimit

from .experts import weights as weights_of_experts
from .lite import Glm4MoeLiteConfig


class GlmMoeDsaConfig(Glm4MoeLiteConfig):
    mlp_bias: Literal[False] = False
    q_lora_rank: int = Field(default=2048, gt=0)
    rope_interleave: Literal[True] = True
    moe_intermediate_size: int = Field(default=2048, gt=0)
    n_routed_experts: int = Field(default=256, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    routed_scaling_factor: float = 2.5
    index_topk: int = Field(default=2048, gt=0)
    absent = MappingProxyType({"max_position_embeddings": 202_752, "rms_norm_eps": 1e-5})

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        layers, dense = values.get("num_hidden_layers"), values.get("first_k_dense_replace", 3)
        if isinstance(layers, int) and isinstance(dense, int):
            kinds = ["dense" if index < dense else "sparse" for index in range(min(layers, 4096))]
            values.setdefault("mlp_layer_types", kinds)
        turned, whole = values.get("qk_rope_head_dim"), values.get("key_length_mla")
        if isinstance(turned, int) and isinstance(whole, int):  # what GGUF files say
            values.setdefault("qk_nope_head_dim", whole - turned)
        super().derive(values)

    @property
    def context_limit(self) -> ContextLimit:
        return ContextLimit.of_index(self.index_topk)


def weights(cfg: GlmMoeDsaConfig) -> dict[str, list[Rule]]:
    others = weights_of_experts(cfg)
    parts = ("q_b_proj", "kv_a_proj_with_mqa")
    latent: list[Rule] = [
        KeysAndValues(),
        *(TurnedRows(f"*.self_attn.{part}") for part in parts),
    ]
    return {
        "hf": [Skip("*.self_attn.indexer.*"), *others["hf"], *latent],
        "gguf": [
            Skip("blk.*.indexer.*"),
            *others["gguf"],
            Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="count"),
            *latent,
        ],
    }
